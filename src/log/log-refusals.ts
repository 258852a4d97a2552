function sqlStateOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : ''
}

/**
 * An answer of Postgres (https://www.postgresql.org/docs/current/errcodes-appendix.html): LISTEN may well work meanwhile. Not
 * one that it gives while it starts or stops (class 57), or when it has no room for another connection (53).
 */
export function isRefusal(error: unknown): boolean {
  return /^(?!57|53)./.test(sqlStateOf(error))
}

/** Another try soon is no use: the functions or the right to call them are gone (42, 3F), or a value cannot be (22). */
export function isFinal(error: unknown): boolean {
  return /^(42|3F|22)/.test(sqlStateOf(error))
}
