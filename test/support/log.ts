import pg from 'pg'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { createTestDatabase, type Row, type TestDatabase } from './postgres.js'

/** A row of `listenql.delivery`. */
export interface Delivery {
  readonly n: number
  readonly token: number
  readonly ord: number
  readonly statement: number
  readonly id: number
  readonly xid: string
  readonly kind: string
  readonly topic: string
  readonly generation: number
  readonly operation: string
  readonly old: string | null
  readonly new: string | null
}

export interface Position {
  readonly n: number
  readonly token: number
  readonly ord: number
  readonly statement: number
  readonly id: number
}

export const END = 2_147_483_647

export const endOf = (at: { n: number; token: number }): Position => ({
  n: at.n,
  token: at.token,
  ord: END,
  statement: 0,
  id: 0,
})

/** A database with schema `listenql`, installed and used by a database owner without superuser. */
export interface TestLog {
  readonly database: TestDatabase
  /** Runs SQL as the owner, on a pool. */
  query(sql: string, params?: readonly unknown[]): Promise<Row[]>
  /** Opens a separate connection as the owner; it is closed with the log. */
  connect(options?: pg.ClientConfig): Promise<pg.Client>
  /** Watches tables and starts their history. */
  watch(...tables: string[]): Promise<void>
  refresh(): Promise<Row[]>
  newest(): Promise<Position>
  pull(after: Position, maxRows?: number): Promise<Delivery[]>
  read(after: Position, maxRows?: number): Promise<Delivery[]>
  /** Returns all events since the last call (or since the log was created), read page by page. */
  fresh(pageRows?: number): Promise<Delivery[]>
  close(): Promise<void>
}

/**
 * @param options.migrated false: without schema `listenql`
 * @param options.encoding of the database; default: UTF8
 */
export async function createLog(
  options: { readonly migrated?: boolean; readonly encoding?: string } = {},
): Promise<TestLog> {
  const database = await createTestDatabase(
    options.encoding === undefined ? {} : { encoding: options.encoding },
  )
  await database.query(`alter database ${database.name} owner to ${database.name}`)
  const pool = new pg.Pool({ connectionString: database.url, max: 8 })
  pool.on('error', () => undefined)
  const clients: pg.Client[] = []
  const query: TestLog['query'] = async (sql, params = []) => (await pool.query<Row>(sql, [...params])).rows
  const connect: TestLog['connect'] = async (config = {}) => {
    const client = new pg.Client({ connectionString: database.url, ...config })
    client.on('error', () => undefined)
    await client.connect()
    clients.push(client)
    return client
  }
  const call = async (name: 'pull' | 'read', after: Position, maxRows: number): Promise<Delivery[]> =>
    (
      await query(`select * from listenql.${name}($1, $2, $3, $4, $5, $6)`, [
        after.n,
        after.token,
        after.ord,
        after.statement,
        after.id,
        maxRows,
      ])
    ).map(toDelivery)
  const newest = async () => {
    const [row] = await query('select * from listenql.newest()')
    return endOf({ n: Number(row?.n), token: Number(row?.token) })
  }
  if (options.migrated !== false) {
    // Comments of older migrations contain characters that other encodings lack.
    const migrations = readMigrations().map(({ sql, ...rest }) => ({
      ...rest,
      sql: sql.replace(/[^\0-\x7f]/g, '?'),
    }))
    await migrate(await connect(), options.encoding === undefined ? {} : { migrations })
  }
  let position = options.migrated === false ? endOf({ n: 0, token: 0 }) : await newest()
  return {
    database,
    query,
    connect,
    newest,
    async watch(...tables) {
      for (const table of tables) await query('select listenql.watch($1::regclass)', [table])
      await query('select listenql.refresh()')
    },
    refresh: () => query('select * from listenql.refresh()'),
    pull: (after, maxRows = 1000) => call('pull', after, maxRows),
    read: (after, maxRows = 1000) => call('read', after, maxRows),
    async fresh(pageRows = 1000) {
      const all: Delivery[] = []
      for (;;) {
        const page = await call('pull', position, pageRows)
        const last = page.at(-1)
        if (!last) return all
        all.push(...page)
        position = last
      }
    },
    async close() {
      await Promise.all(clients.map(client => client.end()))
      await pool.end()
      await database.close()
    },
  }
}

function toDelivery(row: Row): Delivery {
  const { n, token, id } = row
  return { ...(row as unknown as Delivery), n: Number(n), token: Number(token), id: Number(id) }
}

/** Formats an event as one readable line for comparisons: `I {"id":1}`, `U {…} -> {…}`, `D {…}`, `T`. */
export function line(event: Delivery): string {
  const images = [event.old, event.new].filter(image => image !== null)
  return [event.operation, images.join(' -> ')].join(' ').trim()
}

export const lines = (events: readonly Delivery[]): string[] => events.map(line)

/** Returns the SQLSTATE of the error with which Postgres refuses, else its message. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'not refused',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  )
}
