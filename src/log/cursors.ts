import { abortable } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { CIPHER_CHARACTERS, type CursorCipher, createCursorCipher } from './cursor-cipher.js'
import { comparePositions, decodePlain, encodePlain, notOurs, type Position } from './position.js'

/**
 * The cursors of one database. They are encrypted with a key that is in the database, so that they are good at every server on
 * it and tell a client nothing. Where its schema `listenql` has no key yet (before version 13) they are plain.
 */
export interface Cursors {
  /** To be called once the key is known: see `ready`. What comes out of the log comes after it. */
  encode(position: Position): string
  /**
   * Takes plain cursors, too. Waits until the key is known, or the signal aborts.
   * @throws ListenqlError CURSOR_INVALID if it is no cursor of this database; DATABASE_FAILED if the key cannot be read
   */
  decode(cursor: unknown, signal?: AbortSignal): Promise<Position>
  /** Resolves once `encode` can be called. @throws ListenqlError DATABASE_FAILED if the key cannot be read */
  ready(signal?: AbortSignal): Promise<void>
  /** The key as it was read just now; undefined: the schema has none. */
  use(key: Uint8Array | undefined): void
}

export interface CursorsOptions {
  /** Resolves once somebody else has called `use`, or cannot. */
  readonly tried: () => Promise<unknown>
  /** Reads the key. */
  readonly load: () => Promise<Uint8Array | undefined>
}

interface Made {
  readonly position: Position
  readonly cursor: string
}

/** How many cursors are kept: more than events that are handed on in a row. */
const KEPT_CURSORS = 256

/** Between two looks at the key for cursors that it does not fit, in ms. */
const KEY_RELOAD_MS = 1000

export function createCursors({ tried, load }: CursorsOptions): Cursors {
  let current: { readonly key: string; readonly cipher: CursorCipher | undefined } | undefined
  /** The last ones by place: an event's cursor is needed by each group and format that it is delivered in. No WeakMap: that costs as much again. */
  let made: Made[] = []
  let loading: Promise<void> | undefined
  let loadedAt = Number.NEGATIVE_INFINITY

  function use(key: Uint8Array | undefined): void {
    const text = key ? Buffer.from(key).toString('hex') : ''
    if (text === current?.key) return
    current = { key: text, cipher: key && createCursorCipher(key) }
    made = []
  }

  /** One at a time, and one a second: made-up cursors must not become a load for the database. */
  function reload(): Promise<void> {
    loading ??= loadKey().finally(() => {
      loading = undefined
    })
    return loading
  }
  async function loadKey(): Promise<void> {
    const wait = loadedAt + KEY_RELOAD_MS - performance.now()
    if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait).unref())
    loadedAt = performance.now()
    use(await load())
  }

  async function ready(signal?: AbortSignal): Promise<void> {
    if (!current) await abortable(tried(), signal)
    if (!current) await abortable(reload(), signal).catch(unlessAborted(signal))
  }

  return {
    use,
    ready,
    encode(position) {
      const place = (position.n + position.id) % KEPT_CURSORS
      const known = made[place]
      if (known && isSame(known.position, position)) return known.cursor
      if (!current) throw new Error('a position was known before the key of cursors')
      const cursor = current.cipher ? current.cipher.encrypt(position) : encodePlain(position)
      made[place] = { position, cursor }
      return cursor
    },
    async decode(cursor, signal) {
      if (typeof cursor !== 'string' || cursor.length !== CIPHER_CHARACTERS) return decodePlain(cursor)
      await ready(signal)
      let position = current?.cipher?.decrypt(cursor)
      if (!position) {
        // Another server may have seen before this one that the schema was brought up to date, or that another history began.
        await abortable(reload(), signal).catch(error => {
          if (!current?.cipher) unlessAborted(signal)(error)
        })
        position = current?.cipher?.decrypt(cursor)
      }
      if (!position) throw notOurs()
      return position
    },
  }
}

function isSame(a: Position, b: Position): boolean {
  return a === b || (comparePositions(a, b) === 0 && a.token === b.token)
}

function unlessAborted(signal: AbortSignal | undefined) {
  return (error: unknown): never => {
    if (signal?.aborted) throw error
    throw new ListenqlError('DATABASE_FAILED', `the key of cursors cannot be read: ${messageOf(error)}`, {
      hint: 'try again; `listenql status` says what is lacking',
      cause: error,
    })
  }
}
