import { ExactNumber, parseExactJson } from '../../lib/json/exact-json.js'

/** Reads single claims as `->>` returns them, for both json and jsonb. */
export interface PlainClaims {
  /** Null: SQL's NULL. Undefined: the text is not known for sure. */
  text(name: string): string | null | undefined
}

/** Numbers beyond JavaScript's that json and jsonb write alike, such as 9007199254740993. */
const INTEGER = /^-?[1-9]\d{0,30}$/

/** Deepest nesting; Postgres refuses what needs more stack than it has. */
const MAX_DEPTH = 50

/**
 * @param claims as JSON, as Postgres gets them
 * @returns undefined if Postgres may fail to read them, as json or as jsonb: because of an escape (`\u0000`, a surrogate), which fails in
 *   any member, because of a number that may be too large, or because of their depth
 */
export function plainClaimsOf(claims: string): PlainClaims | undefined {
  if (claims.includes('\\u')) return undefined
  const all = parse(claims)
  if (!isObject(all) || !isPlain(all, 0)) return undefined
  return {
    text(name) {
      const value = Object.hasOwn(all, name) ? all[name] : null
      if (value === null || typeof value === 'string') return value
      // Other numbers are written differently as json and as jsonb.
      if (typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value)
      return value instanceof ExactNumber ? value.text : undefined
    },
  }
}

function parse(text: string): unknown {
  try {
    return parseExactJson(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
  )
}

function isPlain(value: unknown, depth: number): boolean {
  if (depth > MAX_DEPTH) return false
  if (value instanceof ExactNumber) return INTEGER.test(value.text)
  if (typeof value !== 'object' || value === null) return true
  return Object.values(value).every(one => isPlain(one, depth + 1))
}
