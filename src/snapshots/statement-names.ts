import { createHash } from 'node:crypto'
import type { ClientBase } from 'pg'

/**
 * Names under which statements stay prepared in the sessions that read. Of 8.9 ms that Postgres took for a small nested read, 3.9 ms were
 * parsing and planning (`log_min_duration_statement = 0`).
 */
export interface StatementNames {
  /** Undefined: the statement is prepared for one execution. */
  of(client: ClientBase, text: string): string | undefined
  /** Code of others has run in the session, and may have dropped its statements: it keeps none from now on. */
  distrust(client: ClientBase): void
}

/** Most statements that one session keeps, since each keeps its plan in the memory of the session. */
const MAX_STATEMENTS = 50

/** Most texts that are remembered after one read. */
const MAX_TEXTS = 1000

/** @param keeps false behind a pooler that hands each transaction to another session */
export function createStatementNames(keeps: boolean): StatementNames {
  const sessions = new WeakMap<ClientBase, Set<string>>()
  const distrusted = new WeakSet<ClientBase>()
  /** By text. Undefined: it has been read only once. */
  const names = new Map<string, string | undefined>()

  /** A text that is read only once is not worth its name. */
  function nameOf(text: string): string | undefined {
    if (!names.has(text)) {
      if (names.size >= MAX_TEXTS) names.clear()
      names.set(text, undefined)
      return undefined
    }
    const name = names.get(text) ?? `listenql ${createHash('sha256').update(text).digest('hex').slice(0, 40)}`
    names.set(text, name)
    return name
  }

  return {
    of(client, text) {
      if (!keeps || distrusted.has(client)) return undefined
      const name = nameOf(text)
      if (name === undefined) return undefined
      let kept = sessions.get(client)
      if (!kept) {
        kept = new Set()
        sessions.set(client, kept)
      }
      if (!kept.has(name) && kept.size >= MAX_STATEMENTS) return undefined
      kept.add(name)
      return name
    },
    distrust: client => void distrusted.add(client),
  }
}
