import { ExactNumber } from './exact-json.js'

/** What a token says. Numbers whose digits JavaScript would not keep are ExactNumbers. */
export type Claims = Readonly<Record<string, unknown>>

/** Claims of a token, not of the person: they change with every refresh (https://www.rfc-editor.org/rfc/rfc7519#section-4.1). */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(['exp', 'iat', 'jti', 'nbf'])

export function isOfTheToken(name: string): boolean {
  return OF_THE_TOKEN.has(name)
}

/**
 * A claim by its name, or, where there is none of that name, by a path of names with dots: `app_metadata.role`. Only what the
 * token itself says: nothing that objects have by birth.
 */
export function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const name of path.split('.')) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
    value = (value as Claims)[name]
  }
  return value
}

function isObject(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber)
  )
}

/** Text, number or boolean as text; undefined for anything else, and for nothing. */
export function scalarText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value === '' ? undefined : value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      return value instanceof ExactNumber ? value.canonical : undefined
  }
}

/** A number as JavaScript has it; undefined if the claim is none. */
export function numberOf(value: unknown): number | undefined {
  if (value instanceof ExactNumber) return value.nearest
  return typeof value === 'number' ? value : undefined
}
