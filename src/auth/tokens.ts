import { errors, type JWTVerifyGetKey, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify } from 'jose'
import type { Claims } from '../lib/claims.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { parseExactJson } from '../lib/json/exact-json.js'
import { badToken } from './errors.js'
import { createJwks, type JwksOptions } from './jwks.js'
import { readPublicKey, readSecret } from './token-keys.js'

export interface TokensOptions {
  /** Of HS256, HS384 and HS512. */
  readonly secret?: string | undefined
  /** See readPublicKey. */
  readonly publicKey?: string | undefined
  readonly jwks?: JwksOptions | undefined
  /** Required value of `iss`. Default: `iss` is not checked. */
  readonly issuer?: string | undefined
  /** `aud` must name one of these. Empty: `aud` is not checked. */
  readonly audience?: readonly string[]
  /** In ms. */
  readonly clockTolerance: number
}

/** Verifies tokens. */
export interface Tokens {
  /**
   * @returns the claims, with all digits of their numbers
   * @throws ListenqlError UNAUTHENTICATED, AUTHENTICATION_UNAVAILABLE if the issuer's keys cannot be fetched
   */
  verify(token: string): Promise<Claims>
  /** Fetches the issuer's keys again, so that keys that it no longer publishes are not used for longer. */
  refetchKeys(): void
}

/** Longest token that is accepted, in characters. */
const MAX_TOKEN_CHARACTERS = 16 * 1024
const SYMMETRIC = ['HS256', 'HS384', 'HS512']
const PUBLISHED = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/** One kind of key, with the algorithms that may be used with it and no others. */
interface Verifier {
  readonly algorithms: readonly string[]
  verify(token: string, options: JWTVerifyOptions): Promise<JWTVerifyResult>
}

/**
 * Signed JSON Web Tokens (https://www.rfc-editor.org/rfc/rfc7519): verified with a secret or with public keys.
 * @returns undefined if no key is configured
 * @throws ListenqlError BAD_CONFIGURATION if a key is unusable
 */
export function createTokens(options: TokensOptions): Tokens | undefined {
  const verifiers: Verifier[] = []
  if (options.secret !== undefined) {
    const secret = readSecret(options.secret)
    verifiers.push({ algorithms: SYMMETRIC, verify: (token, rules) => jwtVerify(token, secret, rules) })
  }
  if (options.publicKey !== undefined) {
    const { key, algorithms } = readPublicKey(options.publicKey)
    verifiers.push({ algorithms, verify: (token, rules) => jwtVerify(token, key, rules) })
  }
  const jwks = options.jwks && createJwks(options.jwks)
  if (jwks)
    verifiers.push({
      algorithms: PUBLISHED,
      verify: (token, rules) => verifyWithSet(token, jwks.find, rules),
    })
  if (verifiers.length === 0) return undefined
  const { issuer, audience = [], clockTolerance } = options
  const rules: JWTVerifyOptions = {
    clockTolerance: clockTolerance / 1000,
    ...(issuer !== undefined && { issuer }),
    ...(audience.length > 0 && { audience: [...audience] }),
  }
  return {
    async verify(token) {
      if (token.length > MAX_TOKEN_CHARACTERS) throw badToken(`${token.length} characters are too many`)
      const algorithm = algorithmOf(token)
      // The header chooses among keys, never what a key is used for.
      const verifier = verifiers.find(({ algorithms }) => algorithms.includes(algorithm ?? ''))
      if (!verifier) throw badToken('no key is configured for its algorithm')
      try {
        await verifier.verify(token, { ...rules, algorithms: [...verifier.algorithms] })
        return claimsOf(token)
      } catch (error) {
        if (error instanceof ListenqlError) throw error
        throw badToken(
          error instanceof errors.JOSEError ? `${error.code}: ${error.message}` : messageOf(error),
        )
      }
    },
    refetchKeys: () => jwks?.refetch(),
  }
}

/** Parses the payload of a verified token again: jose parses it with JSON.parse, which loses digits. */
function claimsOf(token: string): Claims {
  const [, payload = ''] = token.split('.')
  return parseExactJson(new TextDecoder().decode(Buffer.from(payload, 'base64url'))) as Claims
}

/** Several keys of a set may fit a token that names none. */
async function verifyWithSet(
  token: string,
  jwks: JWTVerifyGetKey,
  rules: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(token, jwks, rules)
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, rules)
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

function algorithmOf(token: string): string | undefined {
  try {
    const header = JSON.parse(
      Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString(),
    ) as unknown
    const algorithm = typeof header === 'object' && header !== null ? Reflect.get(header, 'alg') : undefined
    return typeof algorithm === 'string' ? algorithm : undefined
  } catch {
    return undefined
  }
}
