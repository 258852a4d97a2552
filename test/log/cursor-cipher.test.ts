import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CIPHER_CHARACTERS, createCursorCipher } from '../../src/log/cursor-cipher.js'
import { decodePlain, END_OF_BATCH, encodePlain, endOfBatch } from '../../src/log/position.js'

const natural = fc.oneof(fc.nat(), fc.maxSafeNat())
const position = fc.oneof(
  fc.record({
    n: natural,
    token: natural,
    ord: fc.integer({ min: 1, max: END_OF_BATCH - 1 }),
    statement: fc.nat(),
    id: natural,
  }),
  fc.record({ n: natural, token: natural }).map(endOfBatch),
)
const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
const KEY = new Uint8Array(32).fill(7)

const bitsOf = (cursor: string) =>
  [...Buffer.from(cursor, 'base64url')].map(byte => byte.toString(2).padStart(8, '0')).join('')

describe('an encrypted cursor', () => {
  it('decrypts to the position that it was made from, and is the same on every server that has the key', () => {
    fc.assert(
      fc.property(position, key, (value, bytes) => {
        const cursor = createCursorCipher(bytes).encrypt(value)
        expect(cursor).toMatch(/^[\w-]{60}$/)
        const other = createCursorCipher(Uint8Array.from(bytes))
        expect(other.encrypt({ ...value })).toBe(cursor)
        expect(other.decrypt(cursor)).toEqual(value)
      }),
    )
  })

  it('is refused by a server with another key', () => {
    fc.assert(
      fc.property(position, key, key, (value, one, two) => {
        fc.pre(one.some((byte, i) => byte !== two[i]))
        expect(createCursorCipher(two).decrypt(createCursorCipher(one).encrypt(value))).toBeUndefined()
      }),
    )
  })

  it('is refused if one character differs, as is an invented one', () => {
    const cipher = createCursorCipher(KEY)
    const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
    fc.assert(
      fc.property(position, fc.nat(CIPHER_CHARACTERS - 1), character, (value, at, other) => {
        const cursor = cipher.encrypt(value)
        fc.pre(cursor[at] !== other)
        expect(cipher.decrypt(cursor.slice(0, at) + other + cursor.slice(at + 1))).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\w-]{60}$/)), text => {
        expect(cipher.decrypt(text)).toBeUndefined()
      }),
    )
  })

  it('reveals neither order nor distance: cursors of neighbouring positions have nothing in common', () => {
    const cipher = createCursorCipher(KEY)
    const step = fc.constantFrom('n', 'token', 'ord', 'statement', 'id')
    fc.assert(
      fc.property(position, step, fc.integer({ min: 1, max: 3 }), (value, what, by) => {
        fc.pre(value[what] + by <= (what === 'ord' ? END_OF_BATCH : Number.MAX_SAFE_INTEGER))
        const [one, two] = [value, { ...value, [what]: value[what] + by }].map(each => cipher.encrypt(each))
        const [left, right] = [bitsOf(one as string), bitsOf(two as string)]
        const differing = [...left].filter((bit, i) => bit !== right[i]).length
        // Expected for 360 independent bits: outside of this range once in 10^14 pairs.
        expect(differing).toBeGreaterThan(106)
        expect(differing).toBeLessThan(254)
      }),
    )
  })

  it('is always longer than a plain one, which is recognised as plain', () => {
    fc.assert(
      fc.property(position, value => {
        const cursor = encodePlain(value)
        expect(cursor.length).toBeLessThan(CIPHER_CHARACTERS)
        expect(decodePlain(cursor)).toEqual(value)
      }),
    )
  })
})
