import { createHash } from 'node:crypto'
import pg from 'pg'

/** Statements that stay prepared in a session, identified by their text. */
export interface Prepared {
  has(client: pg.ClientBase, text: string, role?: string): boolean
  /** @param parameters their types, as `(int4)` */
  provide(client: pg.ClientBase, text: string, parameters: string, role?: string): Promise<void>
  /** EXECUTE with these literals. */
  execute(text: string, literals: readonly string[], role?: string): string
  /** The session has lost all of them. */
  forget(client: pg.ClientBase): void
  /** Whether the session holds more statements than MAX_STATEMENTS and should be replaced. */
  isFull(client: pg.ClientBase): boolean
  /**
   * SQL that ends a transaction with the savepoint `listenql`. It drops the statements if the next transaction may get another
   * session.
   */
  end(client: pg.ClientBase, how: 'commit' | 'rollback'): string
  /** Reports that the transaction has ended with that SQL. */
  ended(client: pg.ClientBase): void
}

/** Policies that change leave old statements prepared. */
const MAX_STATEMENTS = 200

/** @param keeps false behind a pooler that hands each transaction to another session */
export function createPrepared(keeps: boolean): Prepared {
  const sessions = new WeakMap<pg.ClientBase, Set<string>>()
  const names = new Map<string, string>()

  function namesOf(client: pg.ClientBase): Set<string> {
    const known = sessions.get(client) ?? new Set()
    sessions.set(client, known)
    return known
  }
  function nameOf(text: string, role = ''): string {
    const key = `${role}\n${text}`
    let name = names.get(key)
    if (name === undefined) {
      if (names.size > MAX_STATEMENTS) names.clear()
      name = `listenql ${createHash('sha256').update(key).digest('hex').slice(0, 40)}`
      names.set(key, name)
    }
    return name
  }
  return {
    has: (client, text, role) => namesOf(client).has(nameOf(text, role)),
    async provide(client, text, parameters, role) {
      const name = nameOf(text, role)
      if (namesOf(client).has(name)) return
      await client.query(`prepare ${pg.escapeIdentifier(name)} ${parameters} as ${text}`)
      namesOf(client).add(name)
    },
    execute: (text, literals, role) =>
      `execute ${pg.escapeIdentifier(nameOf(text, role))}(${literals.join(', ')})`,
    forget: client => void sessions.delete(client),
    isFull: client => namesOf(client).size > MAX_STATEMENTS,
    end(client, how) {
      if (keeps) return how
      const all = [...namesOf(client)].map(name => `; deallocate ${pg.escapeIdentifier(name)}`)
      return `rollback to savepoint listenql${all.join('')}; ${how}`
    },
    ended(client) {
      if (!keeps) sessions.delete(client)
    },
  }
}
