import { abortable } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { CIPHER_CHARACTERS, type CursorCipher, createCursorCipher } from './cursor-cipher.js'
import { comparePositions, decodePlain, encodePlain, notOurs, type Position } from './position.js'

/**
 * The cursors of one database. They are encrypted with a key that is stored in the database, so every server of the database
 * accepts them and a client learns nothing from them. If schema `listenql` has no key (before version 13) they are plain.
 */
export interface Cursors {
  /** May be called only once the key is known, see `ready`. The follower learns the key before it reads its first event. */
  encode(position: Position): string
  /**
   * Decodes an encrypted or a plain cursor. Waits until the key is known or the signal aborts.
   * @throws ListenqlError CURSOR_INVALID if it is not a cursor of this database; DATABASE_FAILED if the key cannot be read
   */
  decode(cursor: unknown, signal?: AbortSignal): Promise<Position>
  /** Resolves once `encode` can be called. @throws ListenqlError DATABASE_FAILED if the key cannot be read */
  ready(signal?: AbortSignal): Promise<void>
  /** Sets the key that was just read. Undefined: the schema has none. */
  use(key: Uint8Array | undefined): void
}

export interface CursorsOptions {
  /** Resolves once the follower has called `use`, or has found that it cannot read the key. */
  readonly tried: () => Promise<unknown>
  /** Reads the key. */
  readonly load: () => Promise<Uint8Array | undefined>
}

interface Made {
  readonly position: Position
  readonly cursor: string
}

/** How many cursors are kept: more than the events that are dispatched in one turn. */
const KEPT_CURSORS = 256

/** Shortest time between two reads of the key for cursors that cannot be decrypted, in ms. */
const KEY_RELOAD_MS = 1000

export function createCursors({ tried, load }: CursorsOptions): Cursors {
  let current: { readonly key: string; readonly cipher: CursorCipher | undefined } | undefined
  /** The last cursors: each group and format that renders an event needs its cursor. An array, since a WeakMap would double the cost. */
  let made: Made[] = []
  let loading: Promise<void> | undefined
  let loadedAt = Number.NEGATIVE_INFINITY

  function use(key: Uint8Array | undefined): void {
    const text = key ? Buffer.from(key).toString('hex') : ''
    if (text === current?.key) return
    current = { key: text, cipher: key && createCursorCipher(key) }
    made = []
  }

  /** At most one read at a time, and one a second: forged cursors must not load the database. */
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
      if (!current) throw new Error('a cursor was encoded before the cursor key was known')
      const cursor = current.cipher ? current.cipher.encrypt(position) : encodePlain(position)
      made[place] = { position, cursor }
      return cursor
    },
    async decode(cursor, signal) {
      if (typeof cursor !== 'string' || cursor.length !== CIPHER_CHARACTERS) return decodePlain(cursor)
      await ready(signal)
      let position = current?.cipher?.decrypt(cursor)
      if (!position) {
        // Another server may have learned first that the schema was upgraded or that a new history has another key.
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
    throw new ListenqlError('DATABASE_FAILED', `the cursor key cannot be read: ${messageOf(error)}`, {
      hint: 'try again; `listenql status` shows what is missing',
      cause: error,
    })
  }
}
