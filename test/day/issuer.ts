import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

const ALGORITHM = 'ES256'

/** The application that signs users in. It publishes its keys and signs with one of them. */
export interface DayIssuer {
  readonly url: string
  /** Signs for a validity in seconds. @param key `next` signs with the newest key before it is in use */
  sign(claims: JWTPayload, validity: number, key?: 'next'): Promise<string>
  /** Publishes one more key. The servers have to know it before it is used. */
  publishKey(): Promise<void>
  /** Signs with the newest key from now on. */
  useNewestKey(): void
  /** Publishes only the newest key from now on. */
  dropFormerKeys(): void
  close(): void
}

export async function startDayIssuer(): Promise<DayIssuer> {
  let published: { readonly jwk: JWK; readonly privateKey: CryptoKey }[] = []
  let serial = 0
  let current = ''
  const issuer: Omit<DayIssuer, 'url'> = {
    sign(claims, validity, key) {
      const signing = key === 'next' ? published.at(-1) : published.find(({ jwk }) => jwk.kid === current)
      if (!signing) throw new Error('there is no key')
      return new SignJWT(claims)
        .setProtectedHeader({ alg: ALGORITHM, kid: signing.jwk.kid as string })
        .setIssuedAt()
        .setExpirationTime(`${validity}s`)
        .sign(signing.privateKey)
    },
    async publishKey() {
      const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
      const jwk = { ...(await exportJWK(publicKey)), kid: `key ${++serial}`, alg: ALGORITHM }
      published = [...published, { jwk, privateKey }]
    },
    useNewestKey() {
      current = published.at(-1)?.jwk.kid as string
    },
    dropFormerKeys() {
      published = published.slice(-1)
    },
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
  await issuer.publishKey()
  issuer.useNewestKey()
  const server = createServer((_request, response) => {
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { ...issuer, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys` }
}
