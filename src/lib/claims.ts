import { ExactNumber } from './json/exact-json.js'

/** The claims of a token. Numbers whose digits JavaScript cannot keep are ExactNumbers. */
export type Claims = Readonly<Record<string, unknown>>

/**
 * Claims that describe the token and not the person: they change with every refresh
 * (https://www.rfc-editor.org/rfc/rfc7519#section-4.1).
 */
const OF_THE_TOKEN: ReadonlySet<string> = new Set(['exp', 'iat', 'jti', 'nbf'])

export function isOfTheToken(name: string): boolean {
  return OF_THE_TOKEN.has(name)
}

/**
 * A claim by its name, or, if there is none with that name, by a path of names with dots: `app_metadata.role`. It returns own
 * properties only, never inherited ones.
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

/** Text, number or boolean as text; undefined for any other value, and for an empty text. */
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

/** A number of JavaScript; undefined if the claim is not a number. */
export function numberOf(value: unknown): number | undefined {
  if (value instanceof ExactNumber) return value.nearest
  return typeof value === 'number' ? value : undefined
}
