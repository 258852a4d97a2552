import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { ListenqlError, messageOf } from '../lib/errors.js'

/** Shortest secret, in bytes: as long as the digest of HS256 (https://www.rfc-editor.org/rfc/rfc7518#section-3.2). */
const MIN_SECRET_BYTES = 32
const MIN_RSA_BITS = 2048

/** @throws ListenqlError BAD_CONFIGURATION if it is too short to resist guessing; the error never quotes the secret */
export function readSecret(secret: string): Uint8Array {
  const bytes = Buffer.from(secret)
  if (bytes.length >= MIN_SECRET_BYTES) return bytes
  throw new ListenqlError(
    'BAD_CONFIGURATION',
    `the secret for tokens (--jwt-secret) has ${bytes.length} bytes, it must have ${MIN_SECRET_BYTES} or more`,
    { hint: 'make one: openssl rand -hex 32' },
  )
}

/** Reads a file with a secret, without the line break at its end. @throws ListenqlError BAD_CONFIGURATION */
export function readSecretFile(file: string): string {
  return readText(file, 'the file with the secret for tokens').replace(/\r?\n$/, '')
}

/** Whether an option that may be a key or the name of a file with one is the name of a file. */
export function namesKeyFile(text: string): boolean {
  return !/^\s*(-----BEGIN|\{)/.test(text)
}

/**
 * Returns the text of a public key, which is in the option or in the file that it names.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function readKeyText(text: string): string {
  if (!namesKeyFile(text)) return text
  if (!existsSync(text))
    throw wrongKey(
      'is neither PEM, nor JWK, nor a file that exists',
      'it begins with -----BEGIN PUBLIC KEY-----',
    )
  return readText(text, 'the file with the public key')
}

export interface PublicKey {
  readonly key: KeyObject
  /** The only algorithms that tokens may be signed with: they are a property of the key, and a token cannot choose others. */
  readonly algorithms: readonly string[]
}

/**
 * @param content PEM (SPKI, PKCS #1 or a certificate) or a JWK
 * @throws ListenqlError BAD_CONFIGURATION; the error never quotes the key
 */
export function readPublicKey(content: string): PublicKey {
  if (/PRIVATE KEY-----/.test(content))
    throw wrongKey('is a private key', 'give its public part: openssl pkey -pubout -in key.pem')
  let key: KeyObject
  try {
    key = content.trimStart().startsWith('{') ? readJwk(content) : createPublicKey(content)
  } catch (error) {
    if (error instanceof ListenqlError) throw error
    throw wrongKey('cannot be read', 'it is PEM (-----BEGIN PUBLIC KEY-----) or a JWK')
  }
  const algorithms = algorithmsOf(key)
  if (algorithms.length === 0)
    throw wrongKey(`is of a kind that cannot sign tokens (${key.asymmetricKeyType})`)
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS)
    throw wrongKey(`has ${bits} bits, it must have ${MIN_RSA_BITS} or more`)
  return { key, algorithms }
}

function readJwk(text: string): KeyObject {
  const jwk = JSON.parse(text) as JsonWebKey
  if (jwk.d !== undefined) throw wrongKey('is a private key', 'leave out d, p, q, dp, dq and qi')
  return createPublicKey({ key: jwk, format: 'jwk' })
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  switch (asymmetricKeyType) {
    case 'rsa':
      return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
    case 'ec': {
      const curves: Readonly<Record<string, string>> = {
        prime256v1: 'ES256',
        secp384r1: 'ES384',
        secp521r1: 'ES512',
      }
      const algorithm = curves[asymmetricKeyDetails?.namedCurve ?? '']
      return algorithm === undefined ? [] : [algorithm]
    }
    case 'ed25519':
      return ['EdDSA', 'Ed25519']
    default:
      return []
  }
}

function wrongKey(problem: string, hint?: string): ListenqlError {
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `the public key for tokens (--jwt-public-key) ${problem}`,
    hint === undefined ? {} : { hint },
  )
}

function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `${what} cannot be read: ${messageOf(error)}`)
  }
}
