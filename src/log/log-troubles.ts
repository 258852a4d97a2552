import { randomUUID } from 'node:crypto'
import type { Observe } from '../lib/observation.js'
import type { Loss } from './careful-read.js'
import type { LogEvent } from './log-event.js'
import type { Position } from './position.js'

/** Runs SQL on the connection that reads the log. */
export type Query = (sql: string, values?: readonly unknown[]) => Promise<Record<string, unknown>[]>

/** What an operator should know about the reading of the log: it is logged, and noted in the database for `listenql status`. */
export interface LogTroubles {
  /** Values of events, or whole events, could not be read; the log goes on. */
  lost(losses: readonly Loss[], query: Query): Promise<void>
  /** The table or channel of the first event after a position, in words; undefined if that cannot be read either. */
  topicAfter(position: Position, query: Query): Promise<string | undefined>
  /**
   * Reading fails again and again at one place: nothing after it is delivered.
   * @param topic as `topicAfter` gives it
   */
  stalled(position: Position | undefined, topic: string | undefined, reason: string): void
  /** It gets on again. */
  goesOn(): void
  /** What is to be noted in the database, once there is a connection for it. */
  note(query: Query): Promise<void>
  /** Whether `note` has something to do. */
  readonly isNoted: boolean
  /** Where reading stands still, in words, and why; undefined while it does not. */
  readonly stall: { readonly place: string; readonly reason: string } | undefined
}

/** For so long nothing more is said about a topic of which something was lost, in ms. */
const QUIET_MS = 10_000
/** Topics of which that is remembered. */
const MAX_TOPICS = 1000

/** As SQL, without schema public: what regclass says depends on the search_path. */
const TABLE_NAME = `
select pg_catalog.concat(nullif(pg_catalog.quote_ident(n.nspname), 'public') || '.', pg_catalog.quote_ident(c.relname)) as name
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1::pg_catalog.oid`

export function createLogTroubles(observe: Observe): LogTroubles {
  const server = `server ${randomUUID()}`
  const said = new Map<string, number>()
  let stall: LogTroubles['stall']
  /** The note in the database says that reading stands still. */
  let hasNote = false

  /** A database of an older version has no place for notes, and a login may lack the right: the log has it all. */
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
    goesOn() {
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

/** For operators: the id is that in table listenql.event. */
function placeWords({ n, ord, id }: Position): string {
  return id === 0 ? `the end of batch ${n}` : `batch ${n}, transaction ${ord}, event ${id}`
}
