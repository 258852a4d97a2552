import { createHmac, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { readKeyText, readSecretFile } from '../../src/auth/token-keys.js'
import { createTokens, type TokensOptions } from '../../src/auth/tokens.js'
import { type Issuer, inSeconds, SECRET, sign, startIssuer } from '../support/tokens.js'

const tokens = (options: Partial<TokensOptions> = { secret: SECRET }) => {
  const made = createTokens({ clockTolerance: 5000, ...options })
  if (!made) throw new Error('no keys')
  return made
}
const REFUSED = {
  code: 'UNAUTHENTICATED',
  message: 'the token is not valid, or no longer valid',
  hint: 'sign in again',
}
const unsigned = (header: object, claims: object) =>
  `${[header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const ed = generateKeyPairSync('ed25519')
const pem = (key: typeof rsa.publicKey) => key.export({ type: 'spki', format: 'pem' }).toString()

describe('a secret', () => {
  it.each(['HS256', 'HS384', 'HS512'])('verifies %s', async alg => {
    const token = await sign({ sub: '42', role: 'user', exp: inSeconds(60) }, { alg })
    expect(await tokens().verify(token)).toMatchObject({ sub: '42', role: 'user' })
  })

  it('that is too short is refused at start-up, and not shown', () => {
    expect(() => createTokens({ secret: 'hunter2', clockTolerance: 0 })).toThrow(
      expect.objectContaining({
        code: 'BAD_CONFIGURATION',
        message: 'the secret for tokens (--jwt-secret) has 7 bytes, it must have 32 or more',
      }),
    )
  })

  it('can be read from a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'listenql-secret-'))
    writeFileSync(join(folder, 'secret'), `${SECRET}\n`)
    expect(readSecretFile(join(folder, 'secret'))).toBe(SECRET)
    rmSync(folder, { recursive: true })
    expect(() => readSecretFile(join(folder, 'secret'))).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIGURATION' }),
    )
  })

  const good = { sub: '42', exp: 0 }
  it.each<[string, () => Promise<string> | string]>([
    ['an empty token', () => ''],
    ['a word', () => 'token'],
    ['dots', () => '..'],
    ['an oversized token', () => 'x'.repeat(100_000)],
    ['a token signed with another secret', () => sign(good, { secret: `${SECRET}!` })],
    ['an expired token', () => sign({ exp: inSeconds(-30) })],
    ['a token that is not valid yet', () => sign({ nbf: inSeconds(30) })],
    ['an exp that is not a number', () => sign({ exp: 'never' as unknown as number })],
    ['the algorithm none', () => unsigned({ alg: 'none' }, { sub: '42' })],
    ['the algorithm None', () => unsigned({ alg: 'None' }, { sub: '42' })],
    ['a token without algorithm', () => unsigned({}, { sub: '42' })],
    ['a header that is a list', () => unsigned([], { sub: '42' })],
    [
      'a changed payload',
      async () => {
        const [header, , signature] = (await sign({ sub: '42' })).split('.')
        return `${header}.${Buffer.from('{"sub":"1"}').toString('base64url')}.${signature}`
      },
    ],
    ['a truncated signature', async () => (await sign({ sub: '42' })).replace(/[^.]*$/, '')],
    ['an RS256 token', () => new SignJWT({}).setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey)],
    [
      'an unknown critical header',
      async () => {
        const head = Buffer.from('{"alg":"HS256","crit":["x"],"x":1}').toString('base64url')
        const text = `${head}.${Buffer.from('{}').toString('base64url')}`
        return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`
      },
    ],
  ])('refuses %s, always in the same words', async (_what, make) => {
    await expect(tokens().verify(await make())).rejects.toMatchObject(REFUSED)
  })

  it('tolerates clocks that differ slightly', async () => {
    const claims = { exp: inSeconds(-3), nbf: inSeconds(3) }
    expect(await tokens().verify(await sign(claims))).toMatchObject(claims)
    await expect(
      tokens({ secret: SECRET, clockTolerance: 0 }).verify(await sign(claims)),
    ).rejects.toMatchObject(REFUSED)
  })

  it('can require an issuer and an audience', async () => {
    const picky = tokens({ secret: SECRET, issuer: 'me', audience: ['app', 'web'] })
    expect(await picky.verify(await sign({ iss: 'me', aud: ['x', 'web'] }))).toMatchObject({ iss: 'me' })
    for (const claims of [
      { iss: 'me' },
      { aud: 'app' },
      { iss: 'you', aud: 'app' },
      { iss: 'me', aud: 'x' },
    ]) {
      await expect(picky.verify(await sign(claims))).rejects.toMatchObject(REFUSED)
    }
  })
})

describe('a public key', () => {
  it.each([
    ['RS256', rsa],
    ['PS512', rsa],
    ['ES384', ec],
    ['EdDSA', ed],
  ])('verifies %s, as PEM and as JWK', async (alg, { publicKey, privateKey }) => {
    const token = await new SignJWT({ sub: '42' }).setProtectedHeader({ alg }).sign(privateKey)
    for (const text of [pem(publicKey), JSON.stringify(publicKey.export({ format: 'jwk' }))]) {
      expect(await tokens({ publicKey: text }).verify(token)).toEqual({ sub: '42' })
    }
  })

  it('is not a secret: a token that is signed with its text is refused', async () => {
    const text = pem(rsa.publicKey)
    for (const secret of [text, text.trim(), text.trimEnd()]) {
      const forged = await sign({ sub: '42', role: 'admin' }, { secret })
      await expect(tokens({ publicKey: text }).verify(forged)).rejects.toMatchObject(REFUSED)
      await expect(tokens({ publicKey: text, secret: SECRET }).verify(forged)).rejects.toMatchObject(REFUSED)
    }
  })

  it('works beside a secret, each with its own algorithms', async () => {
    const both = tokens({ publicKey: pem(ec.publicKey), secret: SECRET })
    const token = await new SignJWT({ sub: '1' }).setProtectedHeader({ alg: 'ES384' }).sign(ec.privateKey)
    expect(await both.verify(token)).toEqual({ sub: '1' })
    expect(await both.verify(await sign({ sub: '2' }))).toMatchObject({ sub: '2' })
  })

  it.each([
    ['a private key', rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'is a private key'],
    ['a private JWK', JSON.stringify(ec.privateKey.export({ format: 'jwk' })), 'is a private key'],
    ['a secret JWK', '{"kty":"oct","k":"c2VjcmV0"}', 'cannot be read'],
    ['nonsense', '-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----', 'cannot be read'],
    ['a short key', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), 'has 1024 bits'],
    [
      'a key that cannot sign',
      pem(generateKeyPairSync('x25519').publicKey),
      'is of a kind that cannot sign tokens',
    ],
  ])('refuses %s, and does not show it', (_what, text, problem) => {
    expect(() => createTokens({ publicKey: text, clockTolerance: 0 })).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIGURATION', message: expect.stringContaining(problem) }),
    )
  })

  it('is refused if its file is missing', () => {
    expect(() => readKeyText('/nowhere/key.pem')).toThrow('is neither PEM, nor JWK, nor a file that exists')
  })
})

describe('published keys', () => {
  let issuer: Issuer
  afterEach(() => issuer?.close())
  const withJwks = (options = {}) => tokens({ jwks: { url: issuer.url, ...options } })

  it('are requested once', async () => {
    issuer = await startIssuer()
    const verifier = withJwks()
    const token = await issuer.sign({ sub: '42' })
    await Promise.all(Array.from({ length: 20 }, () => verifier.verify(token)))
    expect(await verifier.verify(token)).toMatchObject({ sub: '42' })
    expect(issuer.asked).toBe(1)
  })

  it('can be rotated', async () => {
    issuer = await startIssuer()
    const verifier = withJwks({ cooldown: 0 })
    const former = await issuer.sign({ sub: '1' })
    await verifier.verify(former)
    await issuer.rotate()
    expect(await verifier.verify(await issuer.sign({ sub: '2' }))).toMatchObject({ sub: '2' })
    await expect(verifier.verify(former)).rejects.toMatchObject(REFUSED)
  })

  it('that are no longer published are refused once the keys have been fetched again', async () => {
    issuer = await startIssuer()
    const verifier = withJwks({ cooldown: 60_000 })
    const former = await issuer.sign({ sub: '1' })
    await verifier.verify(former)
    await issuer.rotate()
    expect(await verifier.verify(former)).toMatchObject({ sub: '1' })
    verifier.refetchKeys()
    await expect.poll(() => verifier.verify(former).catch((error: unknown) => error)).toMatchObject(REFUSED)
    expect(issuer.asked).toBe(2)
  })

  it('are not requested again for invented key ids', async () => {
    issuer = await startIssuer()
    const verifier = withJwks({ cooldown: 60_000 })
    await verifier.verify(await issuer.sign({}))
    const other = await startIssuer()
    try {
      await other.rotate()
      const token = await other.sign({})
      for (let i = 0; i < 5; i++) await expect(verifier.verify(token)).rejects.toMatchObject(REFUSED)
    } finally {
      await other.close()
    }
    expect(issuer.asked).toBe(1)
  })

  it('never verify a token that is signed with a secret', async () => {
    issuer = await startIssuer('RS256')
    await expect(withJwks().verify(await sign({}))).rejects.toMatchObject(REFUSED)
  })

  it.each<[string, Issuer['answer']]>([
    ['an error', { status: 500, body: '' }],
    ['a redirect', { status: 302, body: '' }],
    ['a body that is not JSON', { status: 200, body: '<html>' }],
    ['a body without keys', { status: 200, body: '{}' }],
    ['an oversized body', { status: 200, body: `"${'x'.repeat(2_000_000)}"` }],
    ['silence', 'silence'],
  ])('that are unavailable do not count as a bad token: %s', async (_what, answer) => {
    issuer = await startIssuer()
    issuer.answer = answer
    // The answer that comes later has this limit too, on a machine that may be busy.
    const verifier = withJwks({ timeout: 1000, cooldown: 0 })
    const token = await issuer.sign({ sub: '42' })
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'AUTHENTICATION_UNAVAILABLE' })
    issuer.answer = undefined
    expect(await verifier.verify(token)).toMatchObject({ sub: '42' })
  })

  it('stay in use while the issuer is down', async () => {
    issuer = await startIssuer()
    const verifier = withJwks({ maxAge: 0, cooldown: 0 })
    const token = await issuer.sign({ sub: '42' })
    await verifier.verify(token)
    issuer.answer = { status: 503, body: '' }
    for (let i = 0; i < 3; i++) expect(await verifier.verify(token)).toMatchObject({ sub: '42' })
    const aged = withJwks({ maxAge: 0, maxStale: 0, cooldown: 0 })
    await expect(aged.verify(token)).rejects.toMatchObject({ code: 'AUTHENTICATION_UNAVAILABLE' })
  })
})
