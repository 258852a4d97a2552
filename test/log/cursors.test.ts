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

it('the server issues no cursor before the key is known, not even a plain one', () => {
  expect(() => create().cursors.encode(AT)).toThrow('key')
})

it('the server encrypts cursors with the key of the database, or issues plain cursors if there is no key', () => {
  const { cursors } = create()
  cursors.use(undefined)
  expect(cursors.encode(AT)).toBe(encodePlain(AT))
  cursors.use(KEY)
  expect(cursors.encode(AT)).toBe(CURSOR)
  expect(cursors.encode(AT)).toBe(CURSOR)
  cursors.use(OTHER)
  expect(cursors.encode(AT)).toBe(createCursorCipher(OTHER).encrypt(AT))
})

it('the server encodes each position as its own cursor, whatever the order of positions', () => {
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

it('the server accepts plain cursors immediately, with or without a key', async () => {
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
])('the server refuses %j', async cursor => {
  const { cursors } = create({ load: async () => KEY })
  cursors.use(KEY)
  await expect(cursors.decode(cursor)).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
})

it('the server decodes a cursor once the key is known, or stops when the client leaves', async () => {
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
])(
  'the server queries the database if it has %s than the server that made the cursor',
  async (_what, before) => {
    const { cursors, loads } = create({ load: async () => KEY })
    cursors.use(before)
    const read = await Promise.all([CURSOR, CURSOR, CURSOR].map(cursor => cursors.decode(cursor)))
    expect(read).toEqual([AT, AT, AT])
    expect(loads()).toBe(1)
    expect(cursors.encode(AT)).toBe(CURSOR)
  },
)

it('the server queries the database once for many invented cursors', async () => {
  const { cursors, loads } = create({ load: async () => KEY })
  cursors.use(KEY)
  const made = createCursorCipher(OTHER)
  const asked = Array.from({ length: 100 }, (_, n) => cursors.decode(made.encrypt({ ...AT, n })))
  for (const result of await Promise.allSettled(asked)) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CURSOR_INVALID' } })
  }
  expect(loads()).toBe(1)
})

it('the server does not report a cursor as invalid if the key cannot be read', async () => {
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
