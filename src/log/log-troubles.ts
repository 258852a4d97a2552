import { randomUUID } from 'node:crypto'
import type { Observe } from '../lib/observation.js'
import type { Query } from '../postgres/queryable.js'
import type { Loss } from './careful-read.js'
import type { LogEvent } from './log-event.js'
import type { Position } from './position.js'

/** Reports problems with reading the log to the operator: in the server's log, and as notes in the database for `listenql status`. */
export interface LogTroubles {
  /** Values of events, or whole events, cannot be read. Reading continues after them. */
  lost(losses: readonly Loss[], query: Query): Promise<void>
  /** Names the table or channel of the first event after a position, such as `table people`. Undefined if that cannot be read either. */
  topicAfter(position: Position, query: Query): Promise<string | undefined>
  /**
   * Reading fails repeatedly at one position; no later event is delivered.
   * @param topic the result of `topicAfter`
   */
  stalled(position: Position | undefined, topic: string | undefined, reason: string): void
  /** Reading makes progress again. */
  recovered(): void
  /** Writes the note about a stall to the database, or removes it. To be called once a connection is available. */
  note(query: Query): Promise<void>
  /** Whether `note` has something to write or remove. */
  readonly isNoted: boolean
  /** Where in the log reading stalls, and why. Undefined: it does not. */
  readonly stall: { readonly place: string; readonly reason: string } | undefined
}

/** Shortest time between two reports about unreadable events of one topic, in ms. */
const QUIET_MS = 10_000
/** For how many topics the time of the last report is kept. */
const MAX_TOPICS = 1000

/** The name as SQL, without schema public. Not `::regclass::text`, which depends on the search_path. */
const TABLE_NAME = `
select pg_catalog.concat(nullif(pg_catalog.quote_ident(n.nspname), 'public') || '.', pg_catalog.quote_ident(c.relname)) as name
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1::pg_catalog.oid`

export function createLogTroubles(observe: Observe): LogTroubles {
  const server = `server ${randomUUID()}`
  const said = new Map<string, number>()
  let stall: LogTroubles['stall']
  /** Whether the database has a note of this server that reading stalls. */
  let hasNote = false

  /** Ignores errors: an older schema has no notes, and the login may lack the right. The server's log has everything. */
  async function tryQuery(
    query: Query,
    sql: string,
    values: readonly unknown[],
  ): Promise<Record<string, unknown>[]> {
    try {
      return await query(sql, values)
    } catch {
      return []
    }
  }

  const note = (query: Query, subject: string, place: string, reason: string, isStalled: boolean) =>
    tryQuery(query, 'select listenql.note_trouble($1, $2, $3, $4)', [subject, place, reason, isStalled])

  async function nameOf({ kind, topic }: Pick<LogEvent, 'kind' | 'topic'>, query: Query): Promise<string> {
    if (kind === 'c') return `channel ${topic.replaceAll('\0', '')}`
    const [row] = await tryQuery(query, TABLE_NAME, [topic])
    return `table ${row?.name ?? topic}`
  }

  return {
    async lost(losses, query) {
      const now = performance.now()
      for (const [key, first] of firstOfTopics(losses)) {
        const last = said.get(key)
        if (last !== undefined && now - last < QUIET_MS) continue
        if (said.size >= MAX_TOPICS) said.clear()
        said.set(key, now)
        const name = await nameOf(first.event, query)
        const place = placeWords(first.event.position)
        const columns = first.columns ? [...first.columns] : undefined
        observe({ type: 'event.unreadable', topic: name, columns, reason: first.reason, place })
        const what = columns ? `the value of ${columns.join(', ')} ${first.reason}` : `it ${first.reason}`
        await note(query, name, place, what, false)
      }
    },
    async topicAfter({ n, token, ord, statement, id }, query) {
      const sql = 'select kind::pg_catalog.text, topic from listenql.pull($1, $2, $3, $4, $5, 1)'
      const [event] = await tryQuery(query, sql, [n, token, ord, statement, id])
      return event ? nameOf(event as Pick<LogEvent, 'kind' | 'topic'>, query) : undefined
    },
    stalled(position, topic, reason) {
      const before = topic === undefined ? '' : `, before an event of ${topic}`
      const place = position ? `${placeWords(position)}${before}` : 'its end'
      if (stall?.place !== place) observe({ type: 'log.stalled', place, message: reason })
      stall = { place, reason }
    },
    recovered() {
      if (stall) observe({ type: 'log.recovered' })
      stall = undefined
    },
    async note(query) {
      if (stall) {
        hasNote = true
        await note(query, server, stall.place, stall.reason, true)
      } else if (hasNote) {
        hasNote = false
        await tryQuery(query, 'select listenql.forget_trouble($1)', [server])
      }
    },
    get isNoted() {
      return hasNote || stall !== undefined
    },
    get stall() {
      return stall
    },
  }
}

function firstOfTopics(losses: readonly Loss[]): Map<string, Loss> {
  return new Map(losses.toReversed().map(loss => [loss.event.kind + loss.event.topic, loss]))
}

/** Describes a position to operators. The event's number is its id in table listenql.event. */
function placeWords({ n, ord, id }: Position): string {
  return id === 0 ? `the end of batch ${n}` : `batch ${n}, transaction ${ord}, event ${id}`
}
