import type { IncomingMessage } from 'node:http'
import { GraphQLError } from 'graphql'
import { describe, expect, it } from 'vitest'
import { tokenOf } from '../../src/auth/credentials.js'
import { createClientErrors } from '../../src/graphql/errors.js'
import { createOrigins } from '../../src/transport/limits/origins.js'

/** As many characters as a message may have: what takes time of the order of their square does not end within a test. */
const MANY = 1_000_000

describe('a text that a client chooses is read in one pass', () => {
  const read = (Authorization: string) =>
    tokenOf(
      {
        transport: 'graphql-ws',
        request: { headers: {} } as IncomingMessage,
        connectionParams: { Authorization },
      },
      { cookie: undefined, trustsCookiesOf: () => false },
    )

  it('as a token', () => {
    expect(read(`\n Bearer  a${' '.repeat(MANY)}b `)).toBe(`a${' '.repeat(MANY)}b`)
    expect(read(` ${'x'.repeat(MANY)} `)).toBe('x'.repeat(MANY))
    expect(() => read(`Basic${' '.repeat(MANY)}b`)).toThrow('the token is not valid')
    expect(() => read(`Bearer${' '.repeat(MANY)}`)).toThrow('the token is not valid')
  })

  it('in the message of an error', () => {
    const toClientError = createClientErrors(() => undefined, { suggestNames: false })
    const text = ' Did you mean '.repeat(MANY / 14)
    const shown = (message: string) => toClientError(new GraphQLError(message)).message
    expect(shown(`${text}.`)).toBe(`${text}.`)
    expect(shown(`${text} is nothing. Did you mean "name" or "age"?`)).toBe(`${text} is nothing.`)
  })

  it('as an origin', () => {
    const origins = createOrigins({
      allowed: ['https://*a*a*a*a*a*.example.com'],
      loopback: false,
    })
    const isAllowed = (origin: string) =>
      origins.isOriginAllowed({ headers: { origin, host: 'live.example.com' } } as IncomingMessage)
    expect(isAllowed(`https://${'a'.repeat(200)}.example.com`)).toBe(true)
    expect(isAllowed(`https://${'a'.repeat(200)}.example.net`)).toBe(false)
    expect(isAllowed(`https://${'a'.repeat(10_000)}`)).toBe(false)
  })
})
