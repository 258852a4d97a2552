import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { installCommand } from '../../src/commands/install.js'
import { statusCommand } from '../../src/commands/status.js'
import { watchCommand } from '../../src/commands/watch.js'
import { createServer } from '../../src/index.js'
import { grantSql, uninstall } from '../../src/log/install.js'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { encodePlain } from '../../src/log/position.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { overGraphqlWs } from '../support/clients.js'
import { commandStreams } from '../support/command.js'
import { canDump, dump, restore } from '../support/dump.js'
import { createFormerLog } from '../support/former-log.js'
import { codeOf, dataOf, query } from '../support/graphql-request.js'
import { createLog, lines, type Position, type TestLog } from '../support/log.js'
import { sharedPostgres } from '../support/postgres.js'
import { createServerLogin } from '../support/server-login.js'

const version = await serverVersion()
const isPossible = canDump(version)
if (!isPossible) {
  console.warn(`no pg_dump that can dump PostgreSQL ${version / 10_000}: tests of dumps are skipped`)
}

async function serverVersion(): Promise<number> {
  const client = new pg.Client({ connectionString: sharedPostgres() })
  await client.connect()
  const { rows } = await client.query(`select current_setting('server_version_num')::int as version`)
  await client.end()
  return Number(rows[0]?.version)
}

/**
 * The tables of an application: plain, partitioned, with a trigger that publishes, and one that is not
 * watched.
 */
const TABLES = `
create table people (pk int primary key, name text);
create table readings (at int, v text, primary key (at)) partition by range (at);
create table readings_0 partition of readings for values from (0) to (100);
create table readings_1 partition of readings for values from (100) to (200);
create table orders (id int primary key, note text);
create function tell() returns trigger language plpgsql as $$ begin perform listenql.publish('orders', new.note); return null; end $$;
create trigger tell after insert on orders for each row execute function tell()`

let source: TestLog
/** A cursor that a client of the source database holds. */
let old: Position

beforeAll(async () => {
  source = await createLog()
  await source.query(TABLES)
  await source.watch('people', 'readings')
  // Oids, batches and transactions that do not exist in a fresh database.
  for (let i = 0; i < 20; i++) {
    await source.query('insert into people values ($1, $2)', [i, `n${i}`])
    await source.query('insert into readings values ($1, $2)', [i * 10, 'v'])
    await source.fresh()
  }
  await source.query(
    `insert into orders values (1, 'published'); insert into people values (100, 'not in a batch yet')`,
  )
  old = (await source.newest()) as Position
})
afterAll(() => source.close())

const config = (target: TestLog) => connectionOptions(target.database.url)
const onTarget = (target: TestLog) => ({ config: config(target), serverLogin: undefined })

async function restored(options: readonly string[], into?: TestLog) {
  const target = into ?? (await createLog({ migrated: false }))
  const errors = restore(target.database.url, dump(source.database.adminUrl, '--no-owner', ...options))
  return { target, errors }
}

/** Writes as an application does, to the tables that exist. */
async function applicationWrites(target: TestLog): Promise<void> {
  await target.query(`insert into people values (1000, 'a'), (1001, 'b'); update people set name = 'c' where pk = 1000;
    delete from people where pk = 1001; insert into readings values (50 + 1, 'x'), (151, 'y');
    update readings set at = 152 where at = 51; delete from readings_1; truncate readings_0;
    insert into orders values (1000, 'n')`)
}

/** The first session after the restore, which repairs the log. */
const FIRST = {
  watch: async (target: TestLog) => {
    const io = commandStreams()
    const argv = { tables: ['people'], always: false, grantTo: undefined, patience: 5000 }
    expect([await watchCommand(onTarget(target), argv, io), io.err()]).toEqual([0, ''])
  },
  install: async (target: TestLog) => {
    const io = commandStreams()
    expect([await installCommand(onTarget(target), { grantTo: undefined }, io), io.err()]).toEqual([0, ''])
  },
  server: async () => undefined,
  'watch by SQL': async (target: TestLog) => {
    await target.query(`select listenql.watch('people')`)
  },
} as const

async function status(target: TestLog): Promise<string> {
  const io = commandStreams()
  const code = await statusCommand(
    onTarget(target),
    { retention: 86_400_000, maxLogSize: undefined },
    { json: false },
    io,
  )
  expect(code).toBe(0)
  return io.out()
}

const PEOPLE = 'subscription ($after: String) { peopleChanged(after: $after) { operation row { name } } }'

/**
 * Checks that a server on the restored database delivers new writes and refuses every cursor of the source.
 */
async function serves(target: TestLog, fields = ['peopleChanged', 'readingsChanged']): Promise<void> {
  const server = await createServer({
    databaseUrl: target.database.url,
    host: 'localhost',
    port: 0,
    logLevel: 'silent',
    catalogInterval: 50,
  })
  try {
    await expect
      .poll(() => query(server.url, '{ __type(name: "Subscription") { fields { name } } }'))
      .toMatchObject({ __type: { fields: expect.arrayContaining(fields.map(name => ({ name }))) } })
    const late = await overGraphqlWs(server.url, PEOPLE, { after: encodePlain(old) })
    expect(codeOf(await late.results.next('a refusal'))).toMatch(/^CURSOR_(INVALID|EXPIRED)$/)
    const { people } = await query(server.url, '{ people(limit: 1000) { cursor } }')
    const stream = await overGraphqlWs(server.url, PEOPLE, { after: (people as { cursor: string }).cursor })
    await target.query(`insert into people values (5000, 'after'); delete from people where pk = 5000`)
    for (const change of [
      { operation: 'INSERT', row: { name: 'after' } },
      { operation: 'DELETE', row: null },
    ])
      expect(dataOf(await stream.results.next('a change'))).toEqual({ peopleChanged: change })
    await late.close()
    await stream.close()
  } finally {
    await server.close()
  }
  expect(await status(target)).not.toContain('!')
}

const LEFT_OUT = {
  'everything there': [],
  'schema only': ['--schema-only'],
  'schema only, without privileges': ['--schema-only', '--no-privileges'],
  'without privileges': ['--no-privileges'],
  'without the rows of listenql': ['--exclude-table-data', 'listenql.*'],
  'without the events': ['--exclude-table-data', 'listenql.event*'],
  'without batches': ['--exclude-table-data', 'listenql.batch'],
  'without history': ['--exclude-table-data', 'listenql.history'],
  'without the list of tables': ['--exclude-table-data', 'listenql.watched_table'],
  'without the versions': ['--exclude-table-data', 'listenql.migration'],
  'without the bell': ['--exclude-table-data', 'listenql.armed', '--exclude-table-data', 'listenql.lease'],
  'without a partition of the log': ['--exclude-table', 'listenql.event_2'],
} as const

describe.skipIf(!isPossible)('a dump', () => {
  describe.each(Object.entries(LEFT_OUT))('%s', (what, options) => {
    // Every object, if everything is missing.
    const all = Object.entries(FIRST)
    it.each(/^schema only$|rows of listenql/.test(what) ? all : all.slice(1, 3))(
      'lets the application write after a restore; %s repairs the log and starts a new history',
      async (_who, first) => {
        const { target, errors } = await restored(options)
        try {
          expect(errors).toEqual([])
          await applicationWrites(target)
          await status(target)
          await first(target)
          await applicationWrites(target).catch(() => undefined) // the same keys
          await serves(target)
          const [public_] = await target.query(
            `select count(*)::int as functions from pg_proc where pronamespace = 'listenql'::regnamespace and proacl is null`,
          )
          expect(public_).toEqual({ functions: 0 })
        } finally {
          await target.close()
        }
      },
    )
  })

  it('loses keys, indexes and triggers with its last section; they are created again', async () => {
    const { target, errors } = await restored(['--section=pre-data', '--section=data'])
    try {
      expect(errors).toEqual([])
      await target.query('alter table people add primary key (pk); alter table readings add primary key (at)')
      await applicationWrites(target)
      await FIRST.install(target)
      await serves(target)
      expect(
        await target.query(`select count(*)::int as keys from pg_index i join pg_class c on c.oid = i.indrelid
          where c.relnamespace = 'listenql'::regnamespace and i.indisprimary`),
      ).toEqual([{ keys: 6 }])
    } finally {
      await target.close()
    }
  })

  it('can hold data only and be restored into a schema that was restored before', async () => {
    const { target } = await restored(['--schema-only'])
    try {
      expect((await restored(['--data-only'], target)).errors).toEqual([])
      await serves(target)
    } finally {
      await target.close()
    }
  })

  it.each([
    ['data only', ['--data-only']],
    ['data only, with triggers disabled', ['--data-only', '--disable-triggers']],
    ['rows of the log only', ['--data-only', '--schema', 'listenql']],
  ])('%s, restored into a log in use, ends the history of that log', async (_what, options) => {
    const target = await createLog()
    const url = target.database.url
    try {
      await target.query(TABLES)
      await target.watch('people', 'readings')
      await target.query(`insert into people values (-1, 'here')`)
      await target.fresh()
      const before = await target.newest()
      const script = dump(source.database.adminUrl, '--no-owner', ...options)
      restore(options.includes('--disable-triggers') ? target.database.adminUrl : url, script)
      const after = await target.newest()
      expect(after.token).not.toBe(before.token)
      await expect(target.read(before)).rejects.toMatchObject({ code: /LQ00[12]/ })
      expect(await target.pull(after)).toEqual([]) // no event of another log
      expect(
        await target.query(
          'select count(*)::int as n from listenql.event where xid >= pg_snapshot_xmax(pg_current_snapshot())',
        ),
      ).toEqual([{ n: 0 }])
      await serves(target)
    } finally {
      await target.close()
    }
  })

  it.each([
    ['schema public only', ['--schema', 'public']],
    ['without schema listenql', ['--exclude-schema', 'listenql']],
    ['some tables only', ['--table', 'people', '--table', 'readings*']],
  ])('%s leaves tables without triggers and an installation that starts afresh', async (_what, options) => {
    const { target, errors } = await restored(options)
    try {
      expect(errors.filter(error => !/schema "listenql" does not exist|schema "?public/.test(error))).toEqual(
        [],
      )
      await target.query(`insert into people values (1000, 'a'); insert into readings values (199, 'z')`)
      const io = commandStreams()
      const argv = { tables: ['people', 'readings'], always: false, grantTo: undefined, patience: 5000 }
      expect([await watchCommand(onTarget(target), argv, io), io.err()]).toEqual([0, ''])
      await serves(target)
    } finally {
      await target.close()
    }
  })

  it('of some tables of the log only: the remaining objects are replaced, or refused with the remedy', async () => {
    const target = await createLog({ migrated: false })
    try {
      await target.query('create schema listenql')
      await restored(['--table', 'people', '--table', 'listenql.*'], target)
      await FIRST.watch(target)
      await serves(target, ['peopleChanged'])
      await target.query('drop function listenql.newest(), listenql.rotate(interval, bigint)')
      const client = await target.connect()
      await expect(migrate(client)).rejects.toMatchObject({
        message: expect.stringMatching(/incomplete.*function listenql\.(newest|rotate) is missing/),
        hint: expect.stringContaining('listenql uninstall'),
      })
      await expect(status(target)).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
      await uninstall(client)
      await FIRST.watch(target)
      await serves(target, ['peopleChanged'])
    } finally {
      await target.close()
    }
  })

  it('is repaired by a server whose login owns nothing', async () => {
    const login = await createServerLogin(source)
    await login.mayRead('people', 'readings')
    const { target } = await restored(['--schema-only'])
    try {
      const client = new pg.Client({ ...login.config, database: target.database.name })
      await client.connect()
      await client.query('select listenql.newest()')
      expect((await client.query('select table_name, change from listenql.refresh()')).rows).toEqual([
        { table_name: 'people', change: 'generation' },
        { table_name: 'readings', change: 'generation' },
      ])
      await client.end()
      const start = await target.newest()
      await target.query(`insert into people values (1, 'a')`)
      expect(lines(await target.pull(start))).toEqual(['I {"pk":1,"name":"a"}'])
    } finally {
      await target.database.query(`drop owned by ${login.name}`)
      await target.close()
      await login.close()
    }
  })

  it('keeps unwatched tables unwatched', async () => {
    await source.query(
      `create table former (id int primary key); select listenql.watch('former'); select listenql.silence('former')`,
    )
    const { target } = await restored(['--schema-only'])
    try {
      await FIRST.install(target)
      await target.refresh()
      expect(await target.query('select table_name from listenql.watched order by 1')).toEqual([
        { table_name: 'people' },
        { table_name: 'readings' },
      ])
    } finally {
      await source.query('drop table former')
      await target.close()
    }
  })
})

describe.skipIf(!isPossible)('a dump of version 8 without its rows', () => {
  it('is upgraded and repaired by install; a server states what to do', async () => {
    const former = await createFormerLog(8)
    const target = await createLog({ migrated: false })
    try {
      await former.query(TABLES)
      await former.watch('people', 'readings')
      const script = dump(former.database.adminUrl, '--no-owner', '--schema-only')
      expect(restore(target.database.url, script)).toEqual([])
      expect(await status(target)).toContain('version 8')
      const messages: string[] = []
      const server = await createServer({
        databaseUrl: target.database.url,
        host: 'localhost',
        port: 0,
        logLevel: 'silent',
        observe: observation => observation.type === 'log.lost' && messages.push(observation.message),
      })
      await expect.poll(() => messages.join()).toContain('run as its owner: listenql install')
      await server.close()
      const io = commandStreams()
      await installCommand(onTarget(target), { grantTo: undefined }, io)
      expect(io.out()).toContain(`from version 8 to ${readMigrations().length}`)
      await target.query(grantSql(target.database.name))
      await applicationWrites(target)
      await serves(target)
    } finally {
      await target.close()
      await former.close()
    }
  })
})
