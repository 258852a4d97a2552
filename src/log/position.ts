import { ListenqlError } from '../lib/errors.js'

/**
 * A position in the one order of all logged events: after everything at or before it, before everything later. As a resume point
 * it means that everything at or before it has been received.
 */
export interface Position {
  /** Number of the batch. */
  readonly n: number
  /** Random number of the batch: distinguishes a history that was lost in a failover from the one that replaced it. */
  readonly token: number
  /** Number of the transaction in the batch, from 1. END_OF_BATCH comes after all transactions. */
  readonly ord: number
  readonly statement: number
  readonly id: number
}

export const END_OF_BATCH = 2147483647

/**
 * Before every position of every history: a subscriber that has got only a part of its first rows has this position. The log cannot be
 * read after it.
 */
export const START_OVER: Position = { n: 0, token: 0, ord: 0, statement: 0, id: 0 }

/** Longest plain cursor that is accepted, in characters. */
const MAX_CURSOR_CHARACTERS = 64
const CURSOR_VERSION = 1

export function endOfBatch({ n, token }: { readonly n: number; readonly token: number }): Position {
  return { n, token, ord: END_OF_BATCH, statement: 0, id: 0 }
}

/** Negative if `a` comes before `b`. Both must be of one history, so tokens are not compared. */
export function comparePositions(a: Position, b: Position): number {
  return a.n - b.n || a.ord - b.ord || a.statement - b.statement || a.id - b.id
}

export function isStartOver(position: Position): boolean {
  return comparePositions(position, START_OVER) === 0
}

/** The later of two positions of one history; undefined if both are undefined. */
export function latest(a: Position | undefined, b: Position | undefined): Position | undefined {
  if (!a || !b) return a ?? b
  return comparePositions(a, b) < 0 ? b : a
}

/**
 * The plain form of a cursor, used where the schema of the database has no key (see cursors.ts): version, batch, token and, unless
 * it is the end of the batch, the position in the batch, as varints in base64url.
 */
export function encodePlain(position: Position): string {
  const { n, token, ord, statement, id } = position
  const numbers =
    ord === END_OF_BATCH ? [CURSOR_VERSION, n, token] : [CURSOR_VERSION, n, token, ord, statement, id]
  return Buffer.from(numbers.flatMap(toVarint)).toString('base64url')
}

/** @throws ListenqlError CURSOR_INVALID if it is not a plain cursor. Only the database can tell whether its history still exists. */
export function decodePlain(cursor: unknown): Position {
  const bytes =
    typeof cursor === 'string' && cursor.length <= MAX_CURSOR_CHARACTERS && /^[\w-]+$/.test(cursor)
      ? Buffer.from(cursor, 'base64url')
      : Buffer.alloc(0)
  const [version, n, token, ord = END_OF_BATCH, statement = 0, id = 0, ...rest] = fromVarints(bytes)
  const position = { n: n ?? 0, token: token ?? 0, ord, statement, id }
  // Each position has exactly one text: a cursor that does not encode to itself is forged. `ord` and `statement` are int4.
  const isInRange = ord <= END_OF_BATCH && statement <= END_OF_BATCH
  const isOurs = version === CURSOR_VERSION && token !== undefined && rest.length === 0 && isInRange
  if (!isOurs || encodePlain(position) !== cursor) throw notOurs()
  return position
}

export function notOurs(): ListenqlError {
  return new ListenqlError('CURSOR_INVALID', 'this is not a cursor of this server', {
    hint: 'read a snapshot, and subscribe after its cursor',
  })
}

function toVarint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest % 128) + 128)
  }
}

/** Without bit operations, which have 32 bits: a token has up to 53. */
function fromVarints(bytes: Buffer): number[] {
  const numbers: number[] = []
  let value = 0
  let scale = 1
  for (const byte of bytes) {
    value += (byte % 128) * scale
    scale *= 128
    if (byte < 128) {
      if (!Number.isSafeInteger(value)) return []
      numbers.push(value)
      value = 0
      scale = 1
    }
  }
  return scale === 1 ? numbers : []
}
