import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createNetServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canConnect, waitUntil } from './wait.js'

/**
 * Path of PgBouncer; undefined if it is not installed. If LISTENQL_PGBOUNCER names it, a test fails instead of being skipped.
 */
export const pgbouncer = process.env.LISTENQL_PGBOUNCER ?? find('pgbouncer')
if (!pgbouncer) console.warn('PgBouncer is not installed: tests of the pooler are skipped.')

export type PoolMode = 'session' | 'transaction' | 'statement'

/** A PgBouncer in front of one database. */
export interface PgBouncer {
  /** The URL of the database with the host and port of the pooler. */
  readonly url: string
  /** Sets the pool mode for new sessions of clients; open sessions keep the connection that they hold. */
  setMode(mode: PoolMode): Promise<void>
  close(): Promise<void>
}

export interface PgBouncerOptions {
  readonly mode: PoolMode
  /** Connections to Postgres. Default: 3. */
  readonly size?: number
}

/** @param databaseUrl with user and password */
export async function startPgBouncer(databaseUrl: string, options: PgBouncerOptions): Promise<PgBouncer> {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl)
  const folder = mkdtempSync(join(tmpdir(), 'listenql-pooler-'))
  const listenPort = await freePort()
  const configFile = join(folder, 'pgbouncer.ini')
  const users = join(folder, 'users.txt')
  const configure = (mode: PoolMode) =>
    writeFileSync(
      configFile,
      `[databases]
${pathname.slice(1)} = host=${hostname} port=${port} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listenPort}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${options.size ?? 3}
ignore_startup_parameters = options
`,
    )
  writeFileSync(users, `"${username}" "${password}"\n`)
  configure(options.mode)
  execFileSync('chmod', ['-R', 'a+rX', folder])
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [] // PgBouncer refuses to run as root.
  const child: ChildProcess = spawn(pgbouncer as string, ['-q', ...user, configFile], { stdio: 'ignore' })
  await waitUntil(() => canConnect(listenPort), 'PgBouncer to listen')
  return {
    url: `postgres://${username}@127.0.0.1:${listenPort}${pathname}`,
    async setMode(mode) {
      configure(mode)
      child.kill('SIGHUP')
    },
    async close() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}

function find(program: string): string | undefined {
  try {
    return execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createNetServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
