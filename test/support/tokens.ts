import { createHmac } from 'node:crypto'
import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

/** Signs tokens for tests. */
export const SECRET = 'a secret for tests alone, of more than 32 bytes'

export const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

/** Signs the claims with a secret, and adds the issue time unless the claims contain it. */
export function sign(claims: JWTPayload, { secret = SECRET, alg = 'HS256' } = {}): Promise<string> {
  return new SignJWT({ iat: inSeconds(0), ...claims })
    .setProtectedHeader({ alg })
    .sign(new TextEncoder().encode(secret))
}

/** Signs with a secret; the payload is this text, byte for byte. */
export function signText(payload: string): string {
  const [header, body] = ['{"alg":"HS256"}', payload].map(part => Buffer.from(part).toString('base64url'))
  const signature = createHmac('sha256', SECRET).update(`${header}.${body}`).digest('base64url')
  return `${header}.${body}.${signature}`
}

/** An issuer that publishes its keys. */
export interface Issuer {
  readonly url: string
  /** Number of requests for the keys. */
  readonly asked: number
  /** Replaces the key with a new one. */
  rotate(): Promise<void>
  sign(claims: JWTPayload): Promise<string>
  /** The answer instead of the keys. */
  answer: { status: number; body: string } | 'silence' | undefined
  /** Answers the requests that `silence` has left without an answer, with the keys. */
  proceed(): void
  close(): Promise<void>
}

const JSON_TYPE = { 'content-type': 'application/json' }

export async function startIssuer(alg = 'ES256'): Promise<Issuer> {
  let asked = 0
  let serial = 0
  let current = await makeKey()
  async function makeKey() {
    const kid = `key ${++serial}`
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg }
    return { kid, privateKey, jwk }
  }
  const keys = () => JSON.stringify({ keys: [current.jwk] })
  const waiting: ServerResponse[] = []
  const server = createHttpServer((_request, response) => {
    asked++
    if (issuer.answer === 'silence') return void waiting.push(response)
    const { status, body } = issuer.answer ?? { status: 200, body: keys() }
    response.writeHead(status, JSON_TYPE).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer: Issuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    get asked() {
      return asked
    },
    async rotate() {
      current = await makeKey()
    },
    sign: claims =>
      new SignJWT({ iat: inSeconds(0), ...claims })
        .setProtectedHeader({ alg, kid: current.kid })
        .sign(current.privateKey),
    answer: undefined,
    proceed() {
      for (const response of waiting.splice(0)) response.writeHead(200, JSON_TYPE).end(keys())
    },
    close() {
      server.closeAllConnections()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
  return issuer
}
