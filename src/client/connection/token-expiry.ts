import { isObject } from '../is-object.js'

/** `header.payload.signature`, after `Bearer ` or alone. */
const JWT = /^(?:bearer\s+)?[\w-]+\.([\w-]+)\.[\w-]*$/i

/**
 * Returns when the token in `connectionParams` expires, in ms since 1970: the claim `exp` of the JWT in `Authorization` or
 * `authorization`, also below `headers`. Undefined if there is none; the token may be of another kind.
 */
export function tokenExpiry(connectionParams: unknown): number | undefined {
  for (const token of tokensIn(connectionParams)) {
    const [, payload] = JWT.exec(token) ?? []
    const expiry = payload === undefined ? undefined : expiryIn(payload)
    if (expiry !== undefined) return expiry * 1000
  }
  return undefined
}

function tokensIn(params: unknown): string[] {
  if (!isObject(params)) return []
  const { Authorization, authorization, headers } = params
  const own = [Authorization, authorization].filter(value => typeof value === 'string')
  return [...own, ...(headers === params ? [] : tokensIn(headers))]
}

function expiryIn(payload: string): number | undefined {
  try {
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as { exp?: unknown }
    return typeof exp === 'number' && Number.isFinite(exp) ? exp : undefined
  } catch {
    return undefined // not a JWT: the server will say so
  }
}
