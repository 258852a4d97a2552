import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createCursorCipher } from '../../src/log/cursor-cipher.js'
import { type CursorsOptions, createCursors } from '../../src/log/cursors.js'
import { encodePlain, endOfBatch } from '../../src/log/position.js'

const KEY = new Uint8Array(32).fill(1)
const OTHER = new Uint8Array(32).fill(2)
const AT = endOfBatch({ n: 5, token: 7 })
const CURSOR = createCursorCipher(KEY).encrypt(AT)

function create(options: Partial<CursorsOptions> = {}) {
  const { tried = async () => undefined, load = async () => undefined } = options
  let loads = 0
  const cursors = createCursors({
    tried,
    load() {
      loads++
      return load()
    },
  })
  return { cursors, loads: () => loads }
}

it('gives out no cursor before the key is known, rather than a plain one', () => {
  expect(() => create().cursors.encode(AT)).toThrow('key')
})

it('encrypts with the key of the database; where there is none, cursors are plain', () => {
  const { cursors } = create()
  cursors.use(undefined)
  expect(cursors.encode(AT)).toBe(encodePlain(AT))
  cursors.use(KEY)
  expect(cursors.encode(AT)).toBe(CURSOR)
  expect(cursors.encode(AT)).toBe(CURSOR)
  cursors.use(OTHER)
  expect(cursors.encode(AT)).toBe(createCursorCipher(OTHER).encrypt(AT))
})

it('makes of each position its own cursor, in whatever order they come', () => {
  const { cursors } = create()
  const cipher = createCursorCipher(KEY)
  cursors.use(KEY)
  const few = fc.record({
    n: fc.nat(300),
    token: fc.nat(2),
    ord: fc.nat(2),
    statement: fc.nat(2),
    id: fc.nat(600),
  })
  fc.assert(
    fc.property(fc.array(few, { maxLength: 50 }), positions => {
      for (const position of positions) expect(cursors.encode(position)).toBe(cipher.encrypt(position))
    }),
  )
})

it('takes plain cursors at once, whether or not there is a key', async () => {
  const { cursors } = create({ tried: () => new Promise(() => undefined) })
  expect(await cursors.decode(encodePlain(AT))).toEqual(AT)
  cursors.use(KEY)
  expect(await cursors.decode(encodePlain(AT))).toEqual(AT)
})

it.each([
  [5],
  [null],
  [''],
  ['x'],
  ['A'.repeat(100_000)],
  [`${CURSOR}A`],
  [CURSOR.slice(1)],
  [CURSOR.replace(/.$/, '!')],
])('refuses %j', async cursor => {
  const { cursors } = create({ load: async () => KEY })
  cursors.use(KEY)
  await expect(cursors.decode(cursor)).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
})

it('reads a cursor once the key is known, or the client has left', async () => {
  let start: (value?: unknown) => void = () => undefined
  const tried = new Promise(resolve => {
    start = resolve
  })
  const { cursors, loads } = create({ tried: () => tried, load: async () => OTHER })
  const left = new AbortController()
  const waiting = cursors.decode(CURSOR)
  const leaving = cursors.decode(CURSOR, left.signal)
  left.abort(new Error('left'))
  await expect(leaving).rejects.toThrow('left')
  cursors.use(KEY)
  start()
  expect(await waiting).toEqual(AT)
  expect(loads()).toBe(0)
})

it.each([
  ['no key yet', undefined],
  ['another key', OTHER],
])('looks at the database when it has %s than the server that made the cursor', async (_what, before) => {
  const { cursors, loads } = create({ load: async () => KEY })
  cursors.use(before)
  const read = await Promise.all([CURSOR, CURSOR, CURSOR].map(cursor => cursors.decode(cursor)))
  expect(read).toEqual([AT, AT, AT])
  expect(loads()).toBe(1)
  expect(cursors.encode(AT)).toBe(CURSOR)
})

it('looks once for many that were made up', async () => {
  const { cursors, loads } = create({ load: async () => KEY })
  cursors.use(KEY)
  const made = createCursorCipher(OTHER)
  const asked = Array.from({ length: 100 }, (_, n) => cursors.decode(made.encrypt({ ...AT, n })))
  for (const result of await Promise.allSettled(asked)) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CURSOR_INVALID' } })
  }
  expect(loads()).toBe(1)
})

it('does not call a cursor invalid that it cannot read, since the key cannot be had', async () => {
  const load = () => Promise.reject(new Error('the database is away'))
  const { cursors } = create({ load })
  await expect(cursors.ready()).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
  await expect(cursors.decode(CURSOR)).rejects.toMatchObject({
    code: 'DATABASE_FAILED',
    message: expect.stringContaining('the database is away'),
  })
  cursors.use(KEY)
  expect(await cursors.decode(CURSOR)).toEqual(AT)
  await expect(cursors.decode(createCursorCipher(OTHER).encrypt(AT))).rejects.toMatchObject({
    code: 'CURSOR_INVALID',
  })
})
