import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { grantSql } from '../log/install.js'
import { readMigrations } from '../log/migration-files.js'
import { installedVersion, migrate } from '../log/migrations.js'
import { inTransaction } from '../postgres/lock-retry.js'
import { hasSqlState, SQL_STATE } from '../postgres/sql-state.js'
import type { Credentials } from './credentials.js'

/** Name of the server's login and of the database. */
export const LOGIN = 'listenql'
/**
 * The demos of this version and of earlier ones, the present one first. A database keeps the demo that it was made with. `made` is a
 * comment on the database, committed together with the demo: the demo is created once, and never partly. `watched` replaces it once the
 * demo is watched: if it is unwatched later, or the log is uninstalled, the next start does not undo that.
 */
const DEMO = {
  made: 'Made by listenql, with its demo (tables people and visits).',
  watched: 'Made by listenql, with its demo (tables people and visits, watched).',
  tables: ['people', 'visits'],
}
const DEMO_OF_PEOPLE = {
  made: 'Made by listenql, with its demo (table people).',
  watched: 'Made by listenql, with its demo (table people, watched).',
  tables: ['people'],
}
const DEMOS: readonly (typeof DEMO)[] = [DEMO, DEMO_OF_PEOPLE]

export function superuserUrl(port: number, credentials: Credentials, database: string = LOGIN): string {
  return `postgres://postgres:${credentials.superuser}@127.0.0.1:${port}/${database}`
}

export function loginUrl(port: number, credentials: Credentials): string {
  return `postgres://${LOGIN}:${credentials.login}@127.0.0.1:${port}/${LOGIN}`
}

/**
 * Creates the login, the database and the demo in a running embedded Postgres, unless they exist.
 * @throws ListenqlError EMBEDDED_POSTGRES_FAILED
 */
export async function setUp(port: number, credentials: Credentials): Promise<void> {
  try {
    await withClient(superuserUrl(port, credentials, 'postgres'), async client => {
      const role = await client.query('select from pg_roles where rolname = $1', [LOGIN])
      if (role.rowCount === 0) {
        const password = client.escapeLiteral(credentials.login)
        await client.query(
          `create role ${LOGIN} login nosuperuser nocreatedb nocreaterole password ${password}`,
        )
      }
      const database = await client.query('select from pg_database where datname = $1', [LOGIN])
      if (database.rowCount === 0) await client.query(`create database ${LOGIN} encoding 'UTF8'`)
    })
    await withClient(superuserUrl(port, credentials), async client => {
      await createDemo(client)
      await provideLog(client)
    })
  } catch (error) {
    if (error instanceof ListenqlError) throw error
    throw new ListenqlError(
      'EMBEDDED_POSTGRES_FAILED',
      `could not prepare the embedded Postgres: ${messageOf(error)}`,
      {
        hint: 'if credentials.json was changed or lost, delete its folder (with all data) to start afresh',
        cause: error,
      },
    )
  }
}

async function createDemo(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ exists: boolean }>(
    `select to_regclass('public.people') is not null or to_regclass('public.visits') is not null as exists`,
  )
  const comment = await readComment(client)
  if (rows[0]?.exists || DEMOS.some(({ made, watched }) => comment === made || comment === watched)) return
  const demo = await readFile(await demoPath(), 'utf8')
  await inTransaction(client, async () => {
    await client.query('set local search_path = public')
    await client.query(demo)
    await writeComment(client, DEMO.made)
  })
}

/** Creates the event log and watches the demo, once; later it only updates the log, if it still exists. */
async function provideLog(client: pg.Client): Promise<void> {
  const comment = await readComment(client)
  // Databases of the first versions have no comment.
  const due = comment === null ? DEMO_OF_PEOPLE : DEMOS.find(({ made }) => made === comment)
  const version = await installedVersion(client)
  const newest = readMigrations().length
  // A newer listenql has updated it: the server reports that.
  if (version > newest || (version === 0 && !due)) return
  if (version < newest) await migrate(client)
  if (version < newest || due) {
    await client.query(grantSql(LOGIN))
    // For /healthz?deep, which publishes an event.
    await client.query(`grant execute on function listenql.publish(text, text) to ${LOGIN}`)
  }
  if (!due) return
  try {
    await inTransaction(client, async () => {
      await client.query(`set local lock_timeout = '2s'`)
      const { rows } = await client.query<{ name: string }>(
        `select to_regclass('public.' || u.name)::text as name from unnest($1::text[]) with ordinality u(name, n)
         where to_regclass('public.' || u.name) is not null order by n`,
        [due.tables],
      )
      for (const { name } of rows) await client.query('select listenql.watch($1)', [name])
      await writeComment(client, due.watched)
    })
  } catch (error) {
    // Postgres was running already, and a transaction uses a table: the next start will watch them.
    if (hasSqlState(error, SQL_STATE.lockNotAvailable)) return
    throw error
  }
  await inTransaction(client, () => client.query('select listenql.refresh()'))
}

async function readComment(client: pg.Client): Promise<string | null> {
  const { rows } = await client.query<{ comment: string | null }>(
    `select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()`,
  )
  return rows[0]?.comment ?? null
}

async function writeComment(client: pg.Client, text: string): Promise<void> {
  await client.query(`comment on database ${LOGIN} is ${client.escapeLiteral(text)}`)
}

/** sql/ is beside package.json, at any depth of this module (src in development, dist/src when installed). */
async function demoPath(): Promise<string> {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const found = await stat(join(folder, 'package.json')).catch(() => undefined)
    if (found || dirname(folder) === folder) return join(folder, 'sql', 'demo.sql')
  }
}

async function withClient(
  connectionString: string,
  task: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({
    connectionString,
    ssl: false,
    application_name: 'listenql set-up',
    connectionTimeoutMillis: 10_000,
  })
  client.on('error', () => undefined) // the running query rejects with the same error
  await client.connect()
  try {
    await task(client)
  } finally {
    await client.end()
  }
}
