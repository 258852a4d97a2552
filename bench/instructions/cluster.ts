import { chmod, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../src/embedded/index.js'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import type { Cluster } from './callgrind.js'

/** The rows that are in each table before anything is counted. */
export const ROWS = 10_000

const DATABASE = 'instructions'

/** Tables with the same five columns: without a trigger, with one that does nothing, and watched. */
export const TABLES = ['bare', 'idle', 'watched'] as const

const SETUP = `
  ${TABLES.map(
    table => `create table ${table} (pk serial primary key, ts timestamptz default now(), name text, age integer, height real);
  insert into ${table} (name, age, height) select 'Paul ' || g, g % 90, 1.9 from generate_series(1, ${ROWS}) g;`,
  ).join('\n')}
  create function do_nothing() returns trigger language plpgsql as 'begin return null; end';
  create trigger idle_insert after insert on idle referencing new table as n for each statement execute function do_nothing();
  create trigger idle_update after update on idle referencing old table as o new table as n for each statement execute function do_nothing();
  create trigger idle_delete after delete on idle referencing old table as o for each statement execute function do_nothing();
  select listenql.watch('watched');
  select * from listenql.refresh();
  select listenql.newest();`

/**
 * Creates a Postgres in a temporary folder, installs the log and the tables, and stops it.
 * @param options.programs folder with the programs of Postgres
 * @param options.migrations folder with the SQL of the log. Default: this package's
 */
export async function createCluster(options: {
  readonly programs: string
  readonly migrations?: string | undefined
}): Promise<Cluster & { close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'listenql-instructions-'))
  const close = () => rm(folder, { recursive: true, force: true, maxRetries: 5 })
  try {
    await chmod(folder, 0o755) // as root, Postgres runs as another user
    const packageFolder = join(folder, 'package')
    await mkdir(packageFolder)
    await symlink(dirname(options.programs), join(packageFolder, 'native'))
    const postgres = await startEmbeddedPostgres({
      directory: join(folder, 'postgres'),
      settings: { fsync: 'off', jit: 'off', autovacuum: 'off' },
      packageFolder,
    })
    try {
      // A database of its own: that of the embedded Postgres has this version's log already.
      const admin = new pg.Client(postgres.adminUrl)
      await admin.connect()
      await admin.query(`create database ${DATABASE}`).finally(() => admin.end())
      const url = new URL(postgres.adminUrl)
      url.pathname = `/${DATABASE}`
      const client = new pg.Client(url.href)
      await client.connect()
      try {
        await migrate(
          client,
          options.migrations === undefined ? {} : { migrations: readMigrations(options.migrations) },
        )
        await client.query(SETUP)
        await client.query('vacuum analyze')
      } finally {
        await client.end()
      }
    } finally {
      await postgres.close()
    }
    const { uid, gid } = await stat(postgres.dataDirectory)
    return {
      folder,
      data: postgres.dataDirectory,
      database: DATABASE,
      runAs: process.getuid?.() === 0 ? { uid, gid } : undefined,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
