import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Credentials } from './credentials.js'

/** Name of the server's login and of the database. */
export const LOGIN = 'listenql'
/** A comment on the database, committed together with the demo: the demo comes once, and never half. */
const MARKER = 'Made by listenql, with its demo (table people).'

export function superuserUrl(port: number, credentials: Credentials, database: string = LOGIN): string {
  return `postgres://postgres:${credentials.superuser}@127.0.0.1:${port}/${database}`
}

export function loginUrl(port: number, credentials: Credentials): string {
  return `postgres://${LOGIN}:${credentials.login}@127.0.0.1:${port}/${LOGIN}`
}

/**
 * Makes the login, the database and the demo in a running embedded Postgres, as far as they are missing.
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
    await withClient(superuserUrl(port, credentials), createDemo)
  } catch (error) {
    if (error instanceof ListenqlError) throw error
    throw new ListenqlError(
      'EMBEDDED_POSTGRES_FAILED',
      `could not prepare the embedded Postgres: ${messageOf(error)}`,
      {
        hint: 'if credentials.json was changed or lost, delete the folder that it is in (with all data) to start afresh',
        cause: error,
      },
    )
  }
}

async function createDemo(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ done: boolean }>(
    `select to_regclass('public.people') is not null
       or shobj_description(oid, 'pg_database') is not distinct from $1 as done
     from pg_database where datname = current_database()`,
    [MARKER],
  )
  if (rows[0]?.done) return
  await client.query('begin')
  await client.query(await readFile(await demoPath(), 'utf8'))
  await client.query(`comment on database ${LOGIN} is ${client.escapeLiteral(MARKER)}`)
  await client.query('commit')
}

/** sql/ lies beside package.json, however deep this module is (src in development, dist/src when installed). */
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
  client.on('error', () => undefined) // the query that runs rejects with the same
  await client.connect()
  try {
    await task(client)
  } finally {
    await client.end()
  }
}
