import { createServer, type ListenqlServer } from '../../src/index.js'
import { createLog, type TestLog } from './log.js'
import { type AppHost, createAppHost } from './react-app.js'

/** A database with watched tables, a server on it with the defaults, and a host for an app, which has another origin. */
export interface AppWorld {
  readonly log: TestLog
  readonly host: AppHost
  /** The server that was started last. */
  readonly server: ListenqlServer
  /** Starts another server, after the last one has been closed. */
  start(port: number): Promise<void>
  close(): Promise<void>
}

/**
 * @param sql creates the tables
 * @param tables the tables that are watched
 */
export async function createAppWorld(sql: string, ...tables: string[]): Promise<AppWorld> {
  const log = await createLog()
  await log.query(sql)
  await log.watch(...tables)
  const host = await createAppHost()
  const listen = (port: number) =>
    createServer({ databaseUrl: log.database.url, host: 'localhost', port, logLevel: 'silent' })
  let server = await listen(0)
  return {
    log,
    host,
    get server() {
      return server
    },
    async start(port) {
      server = await listen(port)
    },
    async close() {
      await host.close()
      await server.close()
      await log.close()
    },
  }
}
