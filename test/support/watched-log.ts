import type pg from 'pg'
import { readCatalog } from '../../src/catalog/catalog.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { createLog, type TestLog } from './log.js'
import { createServerLogin, type ServerLogin } from './server-login.js'

/** A log, and the login of a server that may read the tables created here. */
export interface WatchedLog {
  readonly log: TestLog
  readonly server: ServerLogin
  /** Opens a connection of the server's login. */
  readonly client: pg.Client
  /** Creates a table of schema public, which the server may read, and watches it. */
  table(definition: string, name: string): Promise<WatchedTable>
  /** Returns a table as the catalogue shows it now. */
  find(name: string): Promise<WatchedTable>
  close(): Promise<void>
}

export async function createWatchedLog(): Promise<WatchedLog> {
  const log = await createLog()
  const server = await createServerLogin(log)
  const client = await server.connect()
  async function find(name: string): Promise<WatchedTable> {
    const found = (await readCatalog(client)).find(one => one.name === name)
    if (!found) throw new Error(`${name} is not in the catalogue`)
    return found
  }
  return {
    log,
    server,
    client,
    find,
    async table(definition, name) {
      await log.query(`drop table if exists "${name}" cascade; create table "${name}" (${definition})`)
      await log.watch(`"${name}"`)
      await server.mayRead(name)
      return await find(name)
    },
    async close() {
      await server.close()
      await log.close()
    },
  }
}
