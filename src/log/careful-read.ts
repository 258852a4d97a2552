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
import { bytesSql, createDecode } from '../postgres/text-encoding.js'
import { type Content, type LogEvent, type OutlineRow, toLogEvent } from './log-event.js'
import type { Position } from './position.js'

/** Values of an event, or a whole event, that cannot be read. */
export interface Loss {
  readonly event: LogEvent
  /** The names of the columns. Undefined: the whole event. */
  readonly columns: readonly string[] | undefined
  /** The predicate of a sentence about the value, such as `has 5 bytes`. */
  readonly reason: string
}

/** A page of the log to be read. */
export interface CarefulRequest {
  /** `pull` first adds new events to the ledger. */
  readonly fn: 'pull' | 'read'
  readonly after: Position
  /** Most events. */
  readonly limit: number
  /** Size in bytes above which an image is read in pieces. */
  readonly maxImage: number
}

/** An event without its images; its topic in the encoding of the database. */
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

/** The result of reading one event. `reason` is set if something of it cannot be read. */
interface Found {
  readonly content: Content
  readonly columns?: readonly string[]
  readonly reason?: string
}

const sizeSql = (text: string) => `pg_catalog.octet_length(${text})`

/** SQL: whether an image has at most $7 bytes. */
export const isSmallSql = (image: string) => `${sizeSql(image)} operator(pg_catalog.<=) $7::pg_catalog.int4`

const OUTLINE = `select n, token, ord, statement, id, xid, pg_catalog.date_part('epoch', at) as at, kind, ${bytesSql('topic')} as topic, generation,
  operation, ${sizeSql('old')} as "oldBytes", ${sizeSql('new')} as "newBytes",
  pg_catalog.getdatabaseencoding()::pg_catalog.text as encoding`

/** Size of a piece of a large image, in bytes. Large, because Postgres detoasts the whole image for each piece. */
const PIECE_BYTES = 32 * 2 ** 20

/**
 * Reads a page as bytes. The ordinary read converts text to the encoding of the connection and fails for the whole page if one
 * value of one event is not valid text. This read returns everything that can be read of each event, and names the rest as losses.
 * @throws the error of Postgres if not even the positions of the events can be read
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
    // An event whose topic is not valid text must reach no subscriber. No channel name contains NUL.
    const topic = topics[i] ?? `\0${outline.topic.toString()}`
    const event = toLogEvent({ ...outline, topic }, content)
    if (reason !== undefined) losses.push({ event, columns, reason })
    return event
  })
  return { events, losses }

  /** Reads the events without their images; retries with fewer events if the whole page cannot be read. */
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

  /** Reads the contents of a range of events. Bisects the range if an event in it cannot be read. */
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
    // The database bounds a page in bytes, too, so it may return fewer rows than were requested.
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

  /** The position before an event: a page that is read after it begins with the event. */
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

/** An event of which nothing can be read. @param detail the reason for the server's log; see `Loss` */
function nothingOf(unreadable: Unreadable, detail = unreadableWords(unreadable)): Found {
  return { content: { old: null, new: null, unreadable }, reason: detail }
}
