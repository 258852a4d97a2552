import {
  type MendedImage,
  mendImage,
  mendLargeImage,
  type Unreadable,
  unreadableWords,
} from '../filters/index.js'
import { messageOf } from '../lib/errors.js'
import { type Queryable, TYPES } from '../postgres/queryable.js'
import { isContentError } from '../postgres/sql-state.js'
import { type Content, type LogEvent, type OutlineRow, toLogEvent } from './log-event.js'
import type { Position } from './position.js'
import { createDecode } from './text-decoding.js'

/** A value of an event, or all of it, that could not be read. */
export interface Loss {
  readonly event: LogEvent
  /** Names of columns; undefined: all of the event. */
  readonly columns: readonly string[] | undefined
  /** What goes after "it": `has 5 bytes`. */
  readonly reason: string
}

/** A page of the log to be read. */
export interface CarefulRequest {
  /** `pull` takes what is new into the ledger first. */
  readonly fn: 'pull' | 'read'
  readonly after: Position
  /** Most events. */
  readonly limit: number
  /** Larger images are read in pieces, in bytes. */
  readonly maxImage: number
}

/** What the log says about an event, its topic and images aside. */
interface Outline extends Omit<OutlineRow, 'topic'> {
  readonly topic: Buffer
  readonly oldBytes: number | null
  readonly newBytes: number | null
  readonly encoding: string
}

interface Images {
  readonly old: Buffer | null
  readonly new: Buffer | null
}

/** What came of reading an event. */
interface Found {
  readonly content: Content
  readonly columns?: readonly string[]
  readonly reason?: string
}

/** SQL for a text as it is stored: in the encoding of the database, which Postgres does not look at then. */
export const bytesSql = (text: string) => `pg_catalog.convert_to(${text}, pg_catalog.getdatabaseencoding())`
const sizeSql = (text: string) => `pg_catalog.octet_length(${text})`

/** Whether an image is small enough, with the size as $7. */
export const isSmallSql = (image: string) => `${sizeSql(image)} operator(pg_catalog.<=) $7::pg_catalog.int4`

const OUTLINE = `select n, token, ord, statement, id, xid, pg_catalog.date_part('epoch', at) as at, kind, ${bytesSql('topic')} as topic, generation,
  operation, ${sizeSql('old')} as "oldBytes", ${sizeSql('new')} as "newBytes",
  pg_catalog.getdatabaseencoding()::pg_catalog.text as encoding`

/** Of images that are read in pieces, in bytes: each piece costs Postgres the whole image. */
const PIECE_BYTES = 32 * 2 ** 20

/**
 * Reads a page without asking Postgres to turn it into text of this connection, which fails as a whole if one value of one
 * event is no valid text. What can be read of each event is read; the rest is named.
 * @throws what Postgres says if not even the places of the events can be read
 */
export async function readCarefully(
  client: Queryable,
  { fn, after, limit, maxImage }: CarefulRequest,
): Promise<{ events: readonly LogEvent[]; losses: readonly Loss[] }> {
  const outlines = await readOutlines()
  const losses: Loss[] = []
  if (outlines.length === 0) return { events: [], losses }
  const decode = createDecode(client, (outlines[0] as Outline).encoding)
  const topics = await decode(outlines.map(({ topic }) => topic))
  const found = await readContents(0, outlines.length)
  const events = outlines.map((outline, i) => {
    const { content, columns, reason } = found[i] as Found
    // No channel has a NUL in its name: an event whose topic is no text has no subscribers.
    const topic = topics[i] ?? `\0${outline.topic.toString()}`
    const event = toLogEvent({ ...outline, topic }, content)
    if (reason !== undefined) losses.push({ event, columns, reason })
    return event
  })
  return { events, losses }

  /** Where the events stand. If that cannot be told of a whole page, of fewer of them. */
  async function readOutlines(): Promise<readonly Outline[]> {
    for (let most = limit; ; most = Math.floor(most / 4)) {
      try {
        return (
          (await query<Outline>(`${OUTLINE} from listenql.${fn}($1, $2, $3, $4, $5, $6)`, after, [most])) ??
          []
        )
      } catch (error) {
        if (most <= 1 || !isContentError(error)) throw error
      }
    }
  }

  /** The contents of some of the events; by halves where one of them cannot be read. */
  async function readContents(from: number, to: number): Promise<readonly Found[]> {
    try {
      return await readTogether(from, to)
    } catch (error) {
      if (!isContentError(error)) throw error
      if (to - from === 1) return [nothingOf('lost', `cannot be read: ${messageOf(error)}`)]
      const middle = (from + to) >> 1
      return [...(await readContents(from, middle)), ...(await readContents(middle, to))]
    }
  }

  async function readTogether(from: number, to: number): Promise<readonly Found[]> {
    const rows = await query<Images>(
      `select case when ${isSmallSql('old')} then ${bytesSql('old')} end as old,
         case when ${isSmallSql('new')} then ${bytesSql('new')} end as new
       from listenql.read($1, $2, $3, $4, $5, $6)`,
      before(from),
      [to - from, maxImage],
    )
    const all: Found[] = []
    if (rows.length === 0) throw new Error('events that were in the log are gone')
    for (const [i, row] of rows.entries()) all.push(await readOne(from + i, row))
    // A page is bounded in bytes, too.
    if (from + rows.length < to) all.push(...(await readContents(from + rows.length, to)))
    return all
  }

  async function readOne(index: number, row: Images): Promise<Found> {
    const { kind, oldBytes, newBytes } = outlines[index] as Outline
    if (kind === 'c') {
      if ((newBytes ?? 0) > maxImage) return nothingOf(newBytes as number)
      const [payload] = await decode([row.new as Buffer])
      return payload === undefined ? nothingOf('encoding') : { content: { old: null, new: payload } }
    }
    const old = oldBytes === null ? undefined : await mend(index, 'old', row.old)
    const now = newBytes === null ? undefined : await mend(index, 'new', row.new)
    const reasons = [...(old?.unreadable ?? []), ...(now?.unreadable ?? [])]
    const content = { old: old?.text ?? null, new: now?.text ?? null }
    const [first] = reasons
    if (!first) return { content }
    return {
      content,
      columns: [...new Set(reasons.map(([column]) => column))],
      reason: unreadableWords(first[1]),
    }
  }

  function mend(index: number, image: 'old' | 'new', bytes: Buffer | null): Promise<MendedImage> {
    return bytes ? mendImage(bytes, decode) : mendLargeImage(piecesOf(index, image), decode)
  }

  async function* piecesOf(index: number, image: 'old' | 'new'): AsyncGenerator<Buffer> {
    const outline = outlines[index] as Outline
    const bytes = (image === 'old' ? outline.oldBytes : outline.newBytes) as number
    for (let at = 1; at <= bytes; at += PIECE_BYTES) {
      const [row] = await query<{ piece: Buffer }>(
        `select pg_catalog.substring(${bytesSql(image)}, $7::pg_catalog.int4, $8::pg_catalog.int4) as piece
         from listenql.read($1, $2, $3, $4, $5, $6)`,
        before(index),
        [1, at, PIECE_BYTES],
      )
      yield (row as { piece: Buffer }).piece
    }
  }

  /** Where the page begins that begins with this event. */
  function before(index: number): Position {
    return index === 0 ? after : (outlines[index - 1] as Outline)
  }

  async function query<Row>(
    text: string,
    { n, token, ord, statement, id }: Position,
    more: readonly number[],
  ) {
    const { rows } = await client.query({
      text,
      values: [n, token, ord, statement, id, ...more],
      types: TYPES,
    })
    return rows as Row[]
  }
}

/** @param detail for the log of the server, as what goes after "it" */
function nothingOf(unreadable: Unreadable, detail = unreadableWords(unreadable)): Found {
  return { content: { old: null, new: null, unreadable }, reason: detail }
}
