import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type WatchArguments, watchCommand } from '../../src/commands/watch.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { createLog, lines, type TestLog } from '../support/log.js'
import { waitUntil } from '../support/wait.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog({ migrated: false })
})
afterAll(() => log.close())
beforeEach(async () => {
  await log.query('drop schema if exists listenql cascade; drop schema if exists chat, crm cascade')
  // Before PostgreSQL 15, the owner of the database does not own it.
  const { name, query } = log.database
  await query(
    `drop schema public cascade; create schema public authorization ${name}; grant usage on schema public to public`,
  )
  await log.query(`create schema chat; create table people (id int primary key); create table visits (id int primary key);
    create table chat.messages (id int primary key, v text); create table chat.draft (id int primary key);
    create table chat."Mixed Case" (id int primary key)`)
})

async function watch(tables: readonly string[], argv: Partial<WatchArguments> & { url?: string } = {}) {
  const { url = log.database.url, ...more } = argv
  const io = commandStreams()
  const code = await watchCommand(
    { config: connectionOptions(url), serverLogin: undefined },
    { always: false, grantTo: undefined, patience: 300, ...more, tables },
    io,
  )
  return { code, out: io.out(), err: io.err() }
}
const watched = async () =>
  (
    await log.query(
      `select schema_name || '.' || table_name as name from listenql.watched where since is not null order by 1`,
    )
  ).map(({ name }) => name)

describe('watch', () => {
  it('watches all tables except those that a pattern leaves out, with their histories', async () => {
    const { code, out, err } = await watch(['!chat.draft'], { all: true })
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('people is watched: subscription peopleChanged, query people\n')
    expect(out).toContain('chat."Mixed Case" is watched')
    expect(await watched()).toEqual(['chat.Mixed Case', 'chat.messages', 'public.people', 'public.visits'])
    const start = await log.newest()
    await log.query(`insert into chat.messages values (1, 'a')`)
    expect(lines(await log.pull(start))).toEqual(['I {"id":1,"v":"a"}'])
  })

  it('watches schemas, and lets the last word that matches decide', async () => {
    await log.query('create schema crm; create table crm.leads (id int primary key)')
    const words = ['!chat.*', 'chat.m*', 'people']
    expect((await watch(words, { schemas: ['chat', 'crm'] })).code).toBe(0)
    expect(await watched()).toEqual(['chat.messages', 'crm.leads', 'public.people'])
  })

  it('takes a table off again that is named before', async () => {
    expect((await watch(['people', 'visits', '!p*'])).code).toBe(0)
    expect(await watched()).toEqual(['public.visits'])
  })

  it('leaves a watched table as it is, also one that is watched with --always', async () => {
    await log.query('select 1')
    await watch(['people'], { always: true })
    const state = 'select generation, always, since from listenql.watched order by relid'
    const before = await log.query(state)
    expect((await watch(['p*'])).out).toBe('people was watched already\n')
    expect(await log.query(state)).toEqual(before)
    await watch(['visits'])
    expect((await watch([], { all: true, always: true })).code).toBe(0)
    expect(await log.query('select bool_and(always) as always from listenql.watched')).toEqual([
      { always: true },
    ])
  })

  it('repairs a table that has no history at the moment, and keeps --always', async () => {
    await watch(['people'], { always: true })
    await log.query('drop trigger listenql_update on people')
    await log.query('update listenql.watched_table set since_n = null, since_token = null, since = null')
    expect((await watch(['*'])).out).toContain('people was watched already')
    expect(await log.query(`select always from listenql.watched where table_name = 'people'`)).toEqual([
      { always: true },
    ])
    expect(await watched()).toContain('public.people')
  })

  it('names what it skips, and why', async () => {
    await log.query(`create view v as select 1; create materialized view m as select 1; create unlogged table u (id int);
      create table p (id int) partition by list (id); create table p1 partition of p for values in (1)`)
    await log.database.query(`create schema if not exists ext; create extension if not exists postgres_fdw`)
    await log.database.query(`create server if not exists elsewhere foreign data wrapper postgres_fdw;
      create foreign table public.f (id int) server elsewhere; alter foreign table public.f owner to ${log.database.name}`)
    await log.database.query(
      `create table public.others (id int); alter table public.others owner to postgres; grant select on public.others to ${log.database.name}`,
    )
    try {
      const { code, err, out } = await watch(['public.*'])
      expect(code).toBe(0)
      expect(err.split('\n').filter(line => line.includes('skipped'))).toEqual([
        '-- f is skipped: it is a foreign table',
        '-- m is skipped: it is a materialized view',
        '-- others is skipped: it needs the privilege TRIGGER, which this login lacks',
        '-- p1 is skipped: it is a part of p, and parts are watched with their table',
        '-- u is skipped: it is unlogged, so a crash would empty it without an event',
        '-- v is skipped: it is a view',
      ])
      expect(out).toContain('p is watched')
      expect(await watched()).toEqual(['public.p', 'public.people', 'public.visits'])
    } finally {
      await log.database.query(
        'drop extension postgres_fdw cascade; drop table public.others; drop schema ext',
      )
    }
  })

  it('prints in a dry run what it would do, and changes nothing', async () => {
    await log.query('create view chat.v as select 1')
    const first = await watch(['chat.*', 'people', '!chat.dra*', '!nothing'], { dryRun: true })
    expect(first).toEqual({
      code: 0,
      out: `chat."Mixed Case" would be watched
chat.messages would be watched
people would be watched
chat.v is skipped: it is a view
!nothing leaves out nothing: no table matches
3 tables would be watched, watched already: 0, skipped: 1; nothing was changed
`,
      err: '',
    })
    expect(await log.query(`select to_regnamespace('listenql') as schema`)).toEqual([{ schema: null }])
    await watch(['people'])
    const { out, code } = await watch([], { all: true, dryRun: true })
    expect(code).toBe(0)
    expect(out).toContain('people is watched already\n')
    expect(out).toContain('schema listenql is skipped: it belongs to listenql\n')
    expect(out).toContain('schema pg_catalog is skipped: it belongs to the system\n')
    expect(out).toContain('4 tables would be watched, watched already: 1, skipped: 1; nothing was changed\n')
    expect(await watched()).toEqual(['public.people'])
  })

  it('fails for a pattern or a schema without tables, and watches the others', async () => {
    const { code, err } = await watch(['chta.*', 'pople', 'v*'], { schemas: ['crm'] })
    expect(code).toBe(1)
    expect(err).toBe(
      'listenql: pople: there is no such table; did you mean people?\n' +
        'listenql: --schema crm: no table matches\nlistenql: chta.*: no table matches\n',
    )
    expect(await watched()).toEqual(['public.visits'])
  })

  it('does not let a table in use delay the histories of the others', async () => {
    await log.query('create table aaa (id int primary key)')
    await watch(['people'])
    const holder = await log.connect()
    await holder.query('begin; insert into aaa values (1)')
    try {
      const io = commandStreams()
      const running = watchCommand(
        { config: connectionOptions(log.database.url), serverLogin: undefined },
        { tables: ['visits', 'aaa'], always: false, grantTo: undefined, patience: 60_000 },
        io,
      )
      await waitUntil(() => io.out().includes('visits is watched: '), 'the history of the other table')
      expect(await watched()).toEqual(['public.people', 'public.visits'])
      await holder.query('commit')
      expect(await running).toBe(0)
      expect(await watched()).toEqual(['public.aaa', 'public.people', 'public.visits'])
    } finally {
      await holder.query('rollback')
    }
  })

  it('watches more tables than it takes at once', async () => {
    await log.query(
      `do $$ begin for i in 1..101 loop execute format('create table many_%s (id int primary key)', i); end loop; end $$`,
    )
    const { code, out } = await watch(['many_*'])
    expect(code).toBe(0)
    expect(out.match(/ is watched: /g)?.length).toBe(101)
    expect((await watched()).length).toBe(101)
  })
})
