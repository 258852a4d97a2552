import type { Query } from '../../postgres/queryable.js'
import { isStatementError } from '../../postgres/sql-state.js'

/**
 * Which of several servers adds new events to the ledger. Every server may, and one that reads less often than the others costs
 * Postgres less: the leader keeps the shortest pace, the others read what it has added. Nothing depends on it but costs: a server
 * that finds nothing new looks for itself, so that a leader that does not read delays events by the pace of the other servers.
 */
export interface Leadership {
  /** Whether this server leads. True until the database has been asked. */
  readonly leads: boolean
  /** How many servers read this log, this one included. At least 1. */
  readonly servers: number
  /**
   * Tries to lead, and counts the servers, if that is due. Where Postgres refuses that, as without the right to call the functions of
   * advisory locks, the server leads. @throws the error of a connection that is lost
   */
  check(): Promise<void>
}

/** Each server holds the first lock shared, and the leader the second one. They end with the connection. */
const LOCKS = 0x6c73716c // advisory locks have numbers, and these are letters: lsql
const PRESENCE = 1
const LEADER = 2

/** @param pid SQL: the process id of a session @returns SQL: whether that session leads the servers of this database */
export function isLeaderSql(pid: string): string {
  return `exists (select from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database() and l.pid = ${pid}
    and l.locktype = 'advisory' and l.classid = ${LOCKS} and l.objid = ${LEADER} and l.objsubid = 2 and l.granted)`
}

/** How often a server that does not lead tries to, in ms. */
const CHECK_MS = 1000

const PRESENT = `select pg_catalog.pg_try_advisory_lock_shared(${LOCKS}, ${PRESENCE})`
const LEAD = `
select pg_catalog.pg_try_advisory_lock(${LOCKS}, ${LEADER}) as leads, (
  select pg_catalog.count(*)::int from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
   where d.datname = pg_catalog.current_database() and l.locktype = 'advisory'
     and l.classid = ${LOCKS} and l.objid = ${PRESENCE} and l.objsubid = 2) as servers`

/**
 * Of the server that reads the log on this connection. Advisory locks belong to a session: not for a pooler in transaction mode.
 * @param query runs SQL on the connection
 */
export function createLeadership(query: Query): Leadership {
  let leads = true
  let servers = 1
  let due: number | undefined
  return {
    get leads() {
      return leads
    },
    get servers() {
      return servers
    },
    async check() {
      const isFirst = due === undefined
      if (!isFirst && (leads || performance.now() < (due as number))) return
      due = performance.now() + CHECK_MS
      try {
        if (isFirst) await query(PRESENT)
        const [row] = await query(LEAD)
        leads = row?.leads === true
        servers = Math.max(1, Number(row?.servers))
      } catch (error) {
        if (!isStatementError(error)) throw error
        leads = true
      }
    },
  }
}

/** Of a server that cannot tell whether there are others: it leads. */
export const LEADS: Leadership = { leads: true, servers: 1, check: async () => undefined }
