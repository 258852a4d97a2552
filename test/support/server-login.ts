import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { grantReadSql, grantSql } from '../../src/log/install.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import type { TestLog } from './log.js'

/** The login of a server: it has the privileges of `grantSql` and SELECT on some tables, and nothing else. */
export interface ServerLogin {
  readonly name: string
  readonly config: pg.ClientConfig
  /** Grants it SELECT on tables of schema public (names unquoted). */
  mayRead(...tables: string[]): Promise<void>
  /** Opens a connection of the login; it is closed with the login. */
  connect(): Promise<pg.Client>
  close(): Promise<void>
}

export async function createServerLogin(
  log: TestLog,
  options: { granted?: boolean } = {},
): Promise<ServerLogin> {
  const name = `${log.database.name}_${randomBytes(3).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  await log.database.query(`create role ${name} login nosuperuser password '${password}'`)
  if (options.granted !== false) await log.query(grantSql(name))
  const url = new URL(log.database.url)
  url.username = name
  url.password = password
  const config = connectionOptions(url.href, {})
  const clients: pg.Client[] = []
  return {
    name,
    config,
    async mayRead(...tables) {
      for (const table of tables) await log.database.query(grantReadSql(name, { schema: 'public', table }))
    },
    async connect() {
      const client = new pg.Client(config)
      client.on('error', () => undefined)
      await client.connect()
      clients.push(client)
      return client
    },
    async close() {
      await Promise.all(clients.map(client => client.end()))
      await log.database.query(`drop owned by ${name} cascade`)
      await log.database.query(`drop role ${name}`)
    },
  }
}
