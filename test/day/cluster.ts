import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { chooseRunAs } from '../../src/embedded/run-as.js'
import { freePort } from '../support/nginx.js'
import { waitUntil } from '../support/wait.js'
import { type Address, startAddress } from './address.js'

/** The programs of Debian's PostgreSQL: the embedded one has no pg_basebackup. */
const BIN = process.env.LISTENQL_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin'
/** The standby's application_name, by which the primary knows it. */
const STANDBY = 'standby'
const PASSWORD = 'a password of the day'
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=200',
  'fsync=off',
]

export type Query = <R extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]) => Promise<R[]>

/** A primary and a standby that confirms each commit, and an address that leads to the primary. */
export interface Cluster {
  /** The superuser's URL, through the address. */
  readonly adminUrl: string
  /** The same for another login. */
  urlOf(login: string, password: string): string
  /** Runs SQL as the superuser on the primary, on one connection that is opened for it. */
  readonly query: Query
  /** The primary crashes, and nothing answers at the address. */
  losePrimary(): Promise<void>
  /** The standby becomes the primary, and the address leads to it. */
  promote(): Promise<void>
  /** Makes a standby of the primary, and lets commits wait for it. */
  addStandby(): Promise<void>
  close(): Promise<void>
}

interface Node {
  readonly directory: string
  readonly port: number
}

/** @throws if Debian's PostgreSQL is not installed */
export async function startCluster(database: string): Promise<Cluster> {
  if (!existsSync(join(BIN, 'pg_basebackup')))
    throw new Error(
      `there is no ${BIN}/pg_basebackup: apt-get install postgresql-15, or set LISTENQL_POSTGRES_BIN`,
    )
  const root = await mkdtemp(join(tmpdir(), 'listenql-day-postgres-'))
  const user = await chooseRunAs(undefined)
  await chmod(root, 0o755)
  if (user) await chown(root, user.uid, user.gid)
  const options = { ...user, cwd: root, env: { PGPASSWORD: PASSWORD, LC_ALL: 'C' } }
  const run = (program: string, args: readonly string[]) =>
    promisify(execFile)(join(BIN, program), [...args], options)
  let serial = 0
  const newNode = async (): Promise<Node> => ({
    directory: join(root, `node${++serial}`),
    port: await freePort(),
  })

  const directUrl = ({ port }: Node, name = database) =>
    `postgres://postgres:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${name}`

  let primary = await newNode()
  let standby: Node | undefined
  await writeFile(join(root, 'password'), PASSWORD)
  const authentication = ['--auth=scram-sha-256', `--pwfile=${root}/password`]
  await run('initdb', [
    '-D',
    primary.directory,
    '-U',
    'postgres',
    '-E',
    'UTF8',
    '--locale=C',
    ...authentication,
  ])
  await start(primary)
  await queryOnce(directUrl(primary, 'postgres'), `create database ${database}`)
  const address: Address = await startAddress(primary.port)
  const urlOf = (login: string, password: string) =>
    `postgres://${login}:${encodeURIComponent(password)}@127.0.0.1:${address.port}/${database}`
  const adminUrl = urlOf('postgres', PASSWORD)

  async function start({ directory, port }: Node): Promise<void> {
    const settings = SETTINGS.map(setting => `-c ${setting}`).join(' ')
    const args = ['start', '-w', '-D', directory, '-l', `${directory}.log`, '-o', `-p ${port} ${settings}`]
    // Postgres inherits the pipes of pg_ctl, so nothing may wait for their end.
    const child = spawn(join(BIN, 'pg_ctl'), args, { ...options, stdio: 'ignore' })
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`Postgres did not start: see ${directory}.log`)
  }
  const stop = ({ directory }: Node) => run('pg_ctl', ['stop', '-m', 'immediate', '-D', directory])

  return {
    adminUrl,
    urlOf,
    query: (sql, values) => queryOnce(adminUrl, sql, values),
    async losePrimary() {
      await address.cut()
      await stop(primary)
    },
    async promote() {
      if (!standby) throw new Error('there is no standby')
      await queryOnce(directUrl(standby), 'select pg_promote()')
      ;[primary, standby] = [standby, undefined]
      await address.lead(primary.port)
    },
    async addStandby() {
      const node = await newNode()
      const source = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${STANDBY}`
      await run('pg_basebackup', ['-D', node.directory, '-d', source, '-R', '-X', 'stream', '-c', 'fast'])
      await start(node)
      standby = node
      await queryOnce(directUrl(primary), `alter system set synchronous_standby_names = ${STANDBY}`)
      await queryOnce(directUrl(primary), 'select pg_reload_conf()')
      const state = 'select from pg_stat_replication where sync_state = $1'
      await waitUntil(async () => {
        const rows = await queryOnce(directUrl(primary), state, ['sync'])
        return rows.length > 0
      }, 'the standby to confirm commits')
    },
    async close() {
      await address.close()
      for (const node of standby ? [standby, primary] : [primary]) await stop(node).catch(() => undefined)
      await rm(root, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function queryOnce<R extends pg.QueryResultRow>(
  connectionString: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  const client = new pg.Client({ connectionString, application_name: 'day' })
  client.on('error', () => undefined) // the running query rejects with the same error
  await client.connect()
  try {
    return (await client.query<R>(text, [...values])).rows
  } finally {
    await client.end()
  }
}
