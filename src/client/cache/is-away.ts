/** After so many answers in a row that the database is away, components get the error. */
const PATIENT_READS = 5

/** Errors that say nothing about the query: without its database, or in the middle of a change, the server answers no query. */
const AWAY: ReadonlySet<unknown> = new Set([
  'AUTHENTICATION_UNAVAILABLE',
  'DATABASE_FAILED',
  'SCHEMA_CHANGED',
])

/**
 * Whether a query that is read again should be asked once more, as after a lost connection, before components get the error.
 *
 * @param errors of its result
 * @param failures how often it has failed already
 */
export function isAway(
  errors: readonly { readonly extensions?: Readonly<Record<string, unknown>> | undefined }[] | undefined,
  failures: number,
): boolean {
  return failures < PATIENT_READS && errors?.some(({ extensions }) => AWAY.has(extensions?.code)) === true
}
