import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { unwatchCommand } from '../../src/commands/unwatch.js'
import { type WatchArguments, watchCommand } from '../../src/commands/watch.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { createLog, lines, type TestLog } from '../support/log.js'
import type { Row } from '../support/postgres.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog({ migrated: false })
})
afterAll(() => log.close())
beforeEach(async () => {
  await log.query(
    'drop schema if exists listenql cascade; drop schema if exists chat cascade; drop table if exists t, u',
  )
  await log.query('create table t (id int primary key, v text)')
})

/** Sessions of the test at hand. A transaction that a failed test leaves open would stop the tests after it. */
const sessions: { end(): Promise<void> }[] = []
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.end()
})
const connect: TestLog['connect'] = async (...options) => {
  const session = await log.connect(...options)
  sessions.push(session)
  return session
}

const QUICK = 300
const database = (options: object = {}) => ({
  config: { ...connectionOptions(log.database.url), ...options },
  serverLogin: undefined as string | undefined,
})

async function watch(
  tables: readonly string[],
  { on = database(), ...argv }: Partial<WatchArguments> & { on?: ReturnType<typeof database> } = {},
) {
  const io = commandStreams()
  const code = await watchCommand(
    on,
    { always: false, grantTo: undefined, patience: QUICK, ...argv, tables },
    io,
  )
  return { code, out: io.out(), err: io.err() }
}
async function unwatch(tables: readonly string[], patience = QUICK) {
  const io = commandStreams()
  const code = await unwatchCommand(database(), { tables, patience }, io)
  return { code, out: io.out(), err: io.err() }
}
const watched = async () =>
  (
    await log.query(
      `select schema_name || '.' || table_name as name from listenql.watched where since is not null order by 1`,
    )
  ).map(({ name }) => name)
const generation = async () =>
  Number((await log.query('select generation from listenql.watched'))[0]?.generation)
const triggers = (table = 't') =>
  log.query('select tgname from pg_trigger where tgrelid = $1::regclass and not tgisinternal', [table])

describe('watch', () => {
  it('installs and watches, and the history begins even if no server runs', async () => {
    const { code, out, err } = await watch(['t'])
    expect(code).toBe(0)
    expect(err).toBe('')
    expect(out).toMatch(/^schema listenql is installed \(version \d+\)\nt is watched/)
    expect(await watched()).toEqual(['public.t'])
    const start = await log.newest()
    await log.query(`insert into t values (1, 'a')`)
    expect(lines(await log.pull(start))).toEqual(['I {"id":1,"v":"a"}'])
  })

  it('accepts a table that is watched already, and keeps its history', async () => {
    await watch(['t'])
    const before = await generation()
    const { code, out } = await watch(['t'])
    expect(code).toBe(0)
    expect(out).toMatch(/^t was watched already/)
    expect(await generation()).toBe(before)
  })

  it('accepts names as SQL writes them', async () => {
    await log.query(
      `create schema chat; create table chat.messages (id int primary key); create table chat."Mixed ""Case" (id int primary key)`,
    )
    const { code, out } = await watch(['chat.messages', 'chat."Mixed ""Case"', 'PUBLIC.T'])
    expect(code).toBe(0)
    expect(out).toContain('chat.messages is watched')
    expect(out).toContain('chat."Mixed ""Case" is watched')
    expect(await watched()).toEqual(['chat.Mixed "Case', 'chat.messages', 'public.t'])
  })

  it('suggests the table that may be meant, and watches the others', async () => {
    await log.query(`create schema chat; create table chat.messages (id int); create table "People" (id int)`)
    try {
      const { code, out, err } = await watch(['mesages', 'chat.massages', 'People', '1 2 3', 't'])
      expect(code).toBe(1)
      expect(err).toContain('listenql: mesages: there is no such table; did you mean chat.messages?\n')
      expect(err).toContain('listenql: chat.massages: there is no such table; did you mean chat.messages?\n')
      expect(err).toContain('listenql: People: there is no such table; did you mean "People"?\n')
      expect(err).toContain(`'"People"'\n`)
      expect(err).toContain('listenql: 1 2 3: there is no such table\n')
      expect(out).toContain('t is watched')
    } finally {
      await log.query('drop table "People"')
    }
  })

  it('reports which tables cannot be watched, and why', async () => {
    await log.query('create unlogged table u (id int); create schema chat; create view chat.v as select 1')
    const { code, err } = await watch(['u', 'chat.v', 'pg_class'])
    expect(code).toBe(1)
    // Each message names its table once.
    expect(err).toBe(
      `listenql: public.u is temporary or unlogged\nIts rows vanish in a crash and nothing would tell.
listenql: chat.v is no table\nViews and foreign tables cannot be watched.
listenql: pg_class belongs to the system\n`,
    )
  })

  it('notes that a table has no key, and which inheriting tables count as its own', async () => {
    await log.query(
      'create table u (id int); create schema chat; create table chat.kid (extra int) inherits (t)',
    )
    const { code, err } = await watch(['u', 't'])
    expect(code).toBe(0)
    expect(err).toContain('-- u has no primary key: its changes have no key')
    expect(err).toContain('-- t has tables that inherit from it, whose rows count as its own: chat.kid\n')
    expect(err).toContain('-- t has a primary key that is not unique over the tables that inherit from it:')
  })

  it('notes that a key has arrays, of which not all can be shown', async () => {
    await log.query(
      `create domain whole as int[]; create table u (a int[], b whole, c int, d int[], primary key (a, b, c))`,
    )
    try {
      const { code, err } = await watch(['u', 't'])
      expect([code, err]).toEqual([
        0,
        '-- u has arrays in its primary key (a, b): where one has several dimensions or indexes that do not begin at 1, changes have an error instead of that value, and clients cannot find the row\n',
      ])
    } finally {
      await log.query('drop table u; drop domain whole')
    }
  })

  it('grants SELECT to the login of a server, and reports an invalid role', async () => {
    const role = `${log.database.name} web`
    await log.database.query(`create role "${role}"; create schema chat authorization ${log.database.name}`)
    try {
      await log.query('create table chat.messages (id int primary key)')
      await watch(['t'], { grantTo: role })
      const on = { ...database(), serverLogin: role }
      expect((await watch(['chat.messages'], { on })).code).toBe(0)
      expect(
        await log.query(
          `select has_table_privilege($1, 't', 'select') as t, has_table_privilege($1, 'chat.messages', 'select') as messages,
             has_schema_privilege($1, 'chat', 'usage') as chat, has_table_privilege($1, 't', 'insert') as more`,
          [role],
        ),
      ).toEqual([{ t: true, messages: true, chat: true, more: false }])
    } finally {
      await log.database.query(`drop owned by "${role}"; drop role "${role}"`)
    }
    const { code, err } = await watch(['t'], { grantTo: 'no_such_role' })
    expect(code).toBe(1)
    expect(err).toContain('listenql: t: there is no role no_such_role\n')
  })

  it('sets triggers that fire under session_replication_role = replica with --always, and resets them without it', async () => {
    expect((await watch(['t'], { always: true })).out).toContain(
      't is watched, under any session_replication_role',
    )
    const start = await log.newest()
    const write = (id: number) =>
      log.database.query(
        `begin; set local session_replication_role = replica; insert into t values (${id}); commit`,
      )
    await write(1)
    expect((await log.pull(start)).length).toBe(1)
    const before = await generation()
    expect((await watch(['t'])).out).toContain('a new history begins')
    expect(await generation()).toBeGreaterThan(before)
    const later = await log.newest()
    await write(2)
    expect(await log.pull(later)).toEqual([])
  })

  it('repairs triggers that were dropped, and reports that one is disabled', async () => {
    await watch(['t'])
    await log.query('drop trigger listenql_update on t')
    expect(await watch(['t'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('a new history begins'),
    })
    await log.query('create table parent (id int primary key)')
    await log.query('alter table t add parent int references parent, disable trigger listenql_update')
    const { code, err } = await watch(['t'])
    expect(code).toBe(1)
    expect(err).toContain('listenql: t: its history is incomplete: public.t: a trigger is disabled\n')
    // The owner can run the statement from the message, although a table with foreign keys has triggers of the system.
    const [remedy = ''] = /alter table t enable trigger \w+/.exec(err) ?? []
    await log.query(remedy)
    expect(await watch(['t'])).toMatchObject({ code: 0 })
  })

  it('works with any default settings of the login', async () => {
    const options =
      '-c default_transaction_isolation=serializable -c default_transaction_read_only=on -c statement_timeout=100ms'
    expect((await watch(['t'], { on: database({ options }) })).code).toBe(0)
    expect(await watched()).toEqual(['public.t'])
  })

  it('succeeds in five processes at once', async () => {
    const results = await Promise.all(Array.from({ length: 5 }, () => watch(['t'], { patience: 20_000 })))
    expect(results.map(({ code, err }) => [code, err.replace(/^-- .*\n/gm, '')])).toEqual(
      Array(5).fill([0, '']),
    )
    expect(results.filter(({ out }) => out.includes('is installed')).length).toBeGreaterThan(0)
    expect(await watched()).toEqual(['public.t'])
    expect((await triggers()).length).toBe(5)
  })
})

describe('a table in use', () => {
  it('is waited for; the blocking sessions are named; writers are not blocked meanwhile', async () => {
    const holder = await connect({ application_name: 'the app' })
    await holder.query(`begin; insert into t values (1, 'not yet')`)
    const io = commandStreams()
    const argv = { tables: ['t'], always: false, grantTo: undefined, patience: 60_000 }
    const running = watchCommand(database(), argv, io)
    await waitUntil(() => io.err() !== '', 'the note')
    expect(io.err()).toMatch(
      new RegExp(
        `^-- t: waiting for pid \\d+ \\(the app\\) of user ${log.database.name} for [\\d.]+ s, idle in its transaction: begin; insert into t values \\(1, 'not yet'\\)\n`,
      ),
    )
    await log.query(`insert into t values (2, 'writers queue up for less than a second')`)
    await holder.query('commit')
    expect(await running).toBe(0)
    expect(await watched()).toEqual(['public.t'])
  })

  it('is given up after the time limit with a remedy, and the other tables are watched', async () => {
    await log.query('create table u (id int primary key)')
    const holder = await connect()
    await holder.query(`begin; insert into t values (1, 'for ever')`)
    const { rows } = await holder.query<Row>('select pg_backend_pid() as pid')
    const { code, err } = await watch(['t', 'u'])
    await holder.query('rollback')
    expect(code).toBe(1)
    const pid = rows[0]?.pid
    expect(err).toContain(`listenql: t: no lock on the table within 0.3 s: held by pid ${pid} `)
    expect(err).toContain(`select pg_terminate_backend(${pid})\n`)
    expect(await watched()).toEqual(['public.u'])
  })

  it('never makes a writer the victim of a deadlock', async () => {
    await log.query(`create schema chat; create table chat.p (id int) partition by list (id);
      create table chat.p1 partition of chat.p for values in (1); create table chat.p2 partition of chat.p for values in (2)`)
    const writer = await connect()
    await writer.query('begin; insert into chat.p2 values (2)') // Holds the last table.
    const io = commandStreams()
    const argv = { tables: ['chat.p'], always: false, grantTo: undefined, patience: 60_000 }
    const running = watchCommand(database(), argv, io)
    const waiting = `select from pg_stat_activity where application_name = 'listenql watch' and wait_event_type = 'Lock'`
    await waitUntil(async () => (await log.query(waiting)).length > 0, 'it to wait')
    await writer.query('insert into chat.p1 values (1); commit') // Now wants the first table.
    expect(await running).toBe(0)
  })
})

describe('unwatch', () => {
  it('removes the triggers, and reports tables that are not watched', async () => {
    await watch(['t'])
    expect(await unwatch(['t'])).toEqual({ code: 0, out: 't is no longer watched\n', err: '' })
    expect(await triggers()).toEqual([])
    expect(await unwatch(['t'])).toEqual({ code: 0, out: 't was not watched\n', err: '' })
  })

  it('suggests the table that may be meant, and continues with the others', async () => {
    await watch(['t'])
    await log.query('create table u (id int)')
    const { code, out, err } = await unwatch(['uu', 't'])
    expect(code).toBe(1)
    expect(err).toBe(
      'listenql: uu: there is no such table; did you mean t?\n'.replace('did you mean t', 'did you mean u'),
    )
    expect(out).toBe('t is no longer watched\n')
  })

  it('removes a dropped table from the list', async () => {
    await watch(['t'])
    await log.query('drop table t')
    expect(await unwatch(['public.t'])).toMatchObject({ code: 0, out: 'public.t is no longer watched\n' })
    expect(await log.query('select from listenql.watched_table')).toEqual([])
    await log.query('create table t (id int primary key, v text)')
  })

  it('does nothing without a schema', async () => {
    expect(await unwatch(['t'])).toMatchObject({
      code: 0,
      out: 'nothing is watched: there is no schema listenql\n',
    })
  })

  it('silences a table that is locked for too long, and prints the statements for its owner', async () => {
    await watch(['t'])
    const reader = await connect()
    await reader.query('begin; select count(*) from t')
    const { code, out, err } = await unwatch(['t'])
    expect(code).toBe(0)
    expect(out).toBe('t is no longer watched; its triggers still exist, but do nothing\n')
    expect(err).toContain('they could not be dropped: no lock on the table within 0.3 s: held by pid')
    const start = await log.newest()
    await log.query(`insert into t values (1, 'not logged')`)
    expect(await log.pull(start)).toEqual([])
    await reader.query('commit')
    for (const statement of err.match(/^drop trigger .*$/gm) ?? []) await log.query(statement)
    expect(await triggers()).toEqual([])
  })

  it('silences a table whose triggers may not be dropped; a later unwatch finishes the job', async () => {
    await watch(['t'])
    await log.database.query(`create function no_drop() returns event_trigger language plpgsql as
      $$ begin raise exception 'drop nothing here'; end $$; create event trigger no_drop on sql_drop execute function no_drop()`)
    try {
      const { code, err } = await unwatch(['t'])
      expect(code).toBe(0)
      expect(err).toContain('they could not be dropped: drop nothing here\n')
      expect((await triggers()).length).toBe(5)
    } finally {
      await log.database.query('drop event trigger no_drop; drop function no_drop')
    }
    expect(await unwatch(['t'])).toMatchObject({ code: 0, out: 't is no longer watched\n' })
    expect(await triggers()).toEqual([])
  })
})

describe('a login that does not own the schema', () => {
  it('gets an error with the grants that it needs, and they suffice', async () => {
    await watch(['t'])
    const app = `${log.database.name}_app`
    await log.database.query(`create role ${app} login password 'x'; create schema app authorization ${app}`)
    try {
      const url = new URL(log.database.url)
      url.username = app
      url.password = 'x'
      const on = { config: connectionOptions(url.href), serverLogin: undefined }
      const own = await connect({ connectionString: url.href })
      await own.query('create table app.notes (id int primary key)')
      const refused = await watch(['app.notes'], { on })
      expect(refused.code).toBe(1)
      expect(refused.err).toContain('listenql: app.notes: permission denied for schema listenql\n')
      const grants = refused.err.match(/^grant .*;$/gm) ?? []
      expect(grants.length).toBeGreaterThan(5)
      for (const grant of grants) await log.query(grant)
      const { code, err } = await watch(['app.notes'], { on })
      expect(code).toBe(0)
      // The one remaining warning is that dumps of the database fail, because the log belongs to another role.
      expect(err).toMatch(
        new RegExp(`^-- pg_dump of this database fails for role ${app}, .* --grant-dump-to ${app}; .*\\n$`),
      )
      expect(await watched()).toEqual(['app.notes', 'public.t'])
    } finally {
      await log.database.query(`drop owned by ${app} cascade`)
      await log.database.query(`drop role ${app}`)
    }
  })
})
