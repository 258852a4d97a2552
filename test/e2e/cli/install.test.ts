import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { watcherGrants } from '../../../src/catalog/watch-errors.js'
import { uninstallCommand } from '../../../src/commands/uninstall.js'
import { readMigrations } from '../../../src/log/migration-files.js'
import { connectionOptions } from '../../../src/postgres/conninfo.js'
import { runCli } from '../../support/cli.js'
import { commandStreams } from '../../support/command.js'
import { createLog, type TestLog } from '../../support/log.js'
import type { Row } from '../../support/postgres.js'

const newest = readMigrations().length
let log: TestLog
beforeEach(async () => {
  log = await createLog({ migrated: false })
  await log.query('create table t (id int primary key, v text)')
})
afterEach(() => log.close())

const listenql = (...argv: string[]) => runCli(argv, { env: { DATABASE_URL: log.database.url } })

/** Everything in a database according to the catalogues of Postgres: dependencies, privileges, settings, comments. */
const inventory = (): Promise<Row[]> =>
  log.query(`select what from (
    select 'depend ' || pg_describe_object(classid, objid, objsubid) || ' on ' || pg_describe_object(refclassid, refobjid, refobjsubid) as what
      from pg_depend union all
    select 'class ' || oid::regclass || relkind::text || coalesce(relacl::text, '') from pg_class
      where relnamespace::regnamespace::text not in ('pg_catalog', 'pg_toast', 'information_schema') union all
    select 'trigger ' || tgname from pg_trigger union all
    select 'function ' || oid::regprocedure from pg_proc where oid >= 16384 union all
    select 'type ' || oid::regtype from pg_type where oid >= 16384 union all
    select 'schema ' || nspname || coalesce(nspacl::text, '') from pg_namespace union all
    select 'default right ' || defaclobjtype::text from pg_default_acl union all
    select 'setting ' || setconfig::text from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())
    union all select 'comment ' || description from pg_shdescription where objoid = (select oid from pg_database where datname = current_database())
    ) t where what !~ 'pg_toast' order by 1`)

describe('install', () => {
  it('creates the schema once, and grants a login what a server needs', async () => {
    const role = `${log.database.name}_server`
    await log.database.query(`create role ${role}`)
    try {
      const first = await listenql('install', '--grant-to', role)
      expect(first).toMatchObject({ code: 0, stderr: '' })
      expect(first.stdout).toContain(
        `schema listenql is installed (version ${newest})\n${role} now has the rights`,
      )
      expect(await listenql('install')).toEqual({
        code: 0,
        stdout: 'schema listenql is up to date\nNext: listenql watch TABLE\n',
        stderr: '',
      })
      const rights = `select has_function_privilege($1, 'listenql.pull(bigint,bigint,int,int,bigint,int)', 'execute') as pull,
        has_table_privilege($1, 'listenql.event', 'select') as event`
      expect(await log.query(rights, [role])).toEqual([{ pull: true, event: false }])
      const missing = await listenql('install', '--grant-to', 'nobody_here')
      expect(missing).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('there is no role nobody_here\n'),
      })
    } finally {
      await log.database.query(`drop owned by ${role}; drop role ${role}`)
    }
  })

  it('--print prints SQL that creates the same, without a database', async () => {
    const { code, stdout, stderr } = await runCli(['install', '--print', '--grant-to', 'postgres'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^begin;\n/)
    expect(stdout).toMatch(/commit;\n$/)
    expect(stdout).toContain('grant execute on function listenql.newest() to "postgres";')
    await log.query((await runCli(['install', '--print'])).stdout)
    const printed = await inventory()
    await log.query('drop schema listenql cascade')
    await listenql('install')
    expect(await inventory()).toEqual(printed)
  })

  it('--print --from prints the upgrade from that version', async () => {
    const whole = (await runCli(['install', '--print'])).stdout
    const rest = (await runCli(['install', '--print', '--from', '3'])).stdout
    const parts = readMigrations()
    expect(rest.length).toBeLessThan(whole.length)
    expect(rest).not.toContain(parts[2]?.sql)
    expect(rest).toContain(parts[3]?.sql)
    expect((await runCli(['install', '--print', '--from', String(newest)])).stdout).toBe(
      'begin;\n\ncommit;\n',
    )
  })

  it('without the privilege to create a schema says what is needed', async () => {
    await log.database.query(
      `alter database ${log.database.name} owner to current_user; revoke create on database ${log.database.name} from public`,
    )
    const { code, stderr } = await listenql('install')
    expect(code).toBe(1)
    expect(stderr).toContain('permission denied')
    expect(stderr).toContain('`listenql install --print`')
  })
})

describe('uninstall', () => {
  it('removes everything, and leaves the rows as they are', async () => {
    await log.query(`create schema chat; create table chat.messages (id int primary key, body text);
      create table p (id int) partition by list (id); create table p1 partition of p default; create table kid (extra int) inherits (t)`)
    const before = await inventory()
    const watched = await listenql('watch', 't', 'chat.messages', 'p')
    expect(watched.code).toBe(0)
    await log.query(`insert into t values (1, 'a'); insert into p values (1)`)
    await log.query(`select listenql.silence('chat.messages')`)
    expect(await inventory()).not.toEqual(before)
    const { code, stdout, stderr } = await listenql('uninstall', '--yes')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /^removed schema listenql with its event log, and the triggers of 2 tables, from '/,
    )
    expect(await inventory()).toEqual(before)
    await log.query(
      `insert into t values (2, 'b'); insert into p values (2); insert into chat.messages values (1)`,
    )
    expect(await log.query('select id from t order by 1')).toEqual([{ id: 1 }, { id: 2 }])
    expect(await listenql('uninstall', '--yes')).toMatchObject({
      code: 0,
      stdout: 'there is no schema listenql: nothing to remove\n',
    })
  })

  it('does nothing unless it is confirmed', async () => {
    await listenql('watch', 't')
    expect(await listenql('uninstall')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('listenql uninstall --yes\n'),
    })
    const database = { config: connectionOptions(log.database.url), serverLogin: undefined }
    for (const answer of ['no\n', 'y\n', '\n', '']) {
      const io = commandStreams(answer)
      expect(await uninstallCommand(database, { yes: false, patience: 1000 }, io)).toBe(1)
      expect(io.out()).toMatch(/Type yes: (?:.|\n)*nothing was removed\n$/)
    }
    expect((await log.query('select count(*)::int as n from listenql.watched'))[0]).toEqual({ n: 1 })
    expect(await uninstallCommand(database, { yes: false, patience: 1000 }, commandStreams('yes\n'))).toBe(0)
    expect(await log.query(`select to_regnamespace('listenql') as schema`)).toEqual([{ schema: null }])
  })

  it('with a login that may not remove everything removes nothing, even if the login owns a watched table', async () => {
    await listenql('watch', 't')
    const role = `${log.database.name}_lesser`
    await log.database.query(
      `create role ${role} login password 'x'; grant create on schema public to ${role}`,
    )
    try {
      await log.database.query(
        `create table mine (id int primary key); alter table mine owner to ${role}; ${watcherGrants(role)}`,
      )
      const url = Object.assign(new URL(log.database.url), { username: role, password: 'x' }).href
      const asRole = (...argv: string[]) => runCli(argv, { env: { DATABASE_URL: url } })
      expect((await asRole('watch', 'mine')).code).toBe(0)
      const before = await inventory()
      const owner = log.database.name
      const refusal = {
        code: 1,
        stdout: '',
        stderr: `listenql: login ${role} may not remove schema listenql: it belongs to ${owner}\nrun it as ${owner} or as a superuser; nothing was removed\n`,
      }
      expect(await asRole('uninstall', '--yes')).toEqual(refusal)
      expect(await asRole('uninstall')).toEqual(refusal) // before it asks for confirmation
      expect(await inventory()).toEqual(before)
      await log.database.query(`revoke all on schema listenql from ${role}`)
      expect(await asRole('uninstall', '--yes')).toEqual(refusal)
      expect(await asRole('install')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`schema listenql exists and belongs to ${owner}`),
      })
      expect(await asRole('unwatch', 'nowhere')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`grant usage on schema listenql to ${role};`),
      })
      await log.database.query(`grant ${owner} to ${role}`) // a member of the owner may
      expect(await asRole('uninstall', '--yes')).toMatchObject({ code: 0 })
    } finally {
      await log.database.query(`drop table if exists mine; drop owned by ${role}; drop role ${role}`)
    }
  })

  it('can be run again after it met a table in use', async () => {
    await log.query('create table u (id int primary key)')
    await listenql('watch', 't', 'u')
    const reader = await log.connect()
    await reader.query('begin; select * from u')
    const stuck = await listenql('uninstall', '--yes', '--wait', '200ms')
    expect(stuck).toMatchObject({ code: 1, stderr: expect.stringContaining('held by pid') })
    await reader.query('commit')
    expect((await listenql('uninstall', '--yes')).code).toBe(0)
  })
})

/** 512 characters that Postgres cannot compress. */
const TEXT = `(select string_agg(md5(g::text || i), '') from generate_series(1, 16) i)`

describe('rotate', () => {
  it('clears old events, and says what it did', async () => {
    await listenql('watch', 't')
    const start = await log.newest()
    expect((await listenql('rotate')).stdout).toMatch(/^nothing was cleared; the event log has \d+ kB\n$/)
    await log.query(`insert into t select g, ${TEXT} from generate_series(1, 3000) g`)
    await log.pull(start)
    await log.query(
      `update listenql.batch set at = at - interval '3 h'; update listenql.history set slot_opened = slot_opened - interval '3 h'`,
    )
    await listenql('rotate', '--retention', '2h') // continues with the next partition
    expect((await listenql('rotate', '--retention', '2h')).stdout).toMatch(
      /^[\d.]+ MB were cleared; the event log has \d+ kB now\n$/,
    )
    await log.query(`insert into t select g, ${TEXT} from generate_series(3001, 6000) g`)
    expect((await listenql('rotate', '--max-log-size', '1MiB')).stdout).toMatch(
      /were cleared; the event log has \d+ kB now\n--max-log-size was exceeded: some cleared events were younger than --retention\n$/,
    )
  })

  it('says what blocks it, and when there is nothing to clear', async () => {
    expect(await listenql('rotate')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no event log here that this login may clear'),
    })
    await listenql('watch', 't')
    const start = await log.newest()
    const slow = await log.connect()
    await slow.query(`begin; insert into t select g, ${TEXT} from generate_series(1, 3000) g`)
    const { code, stdout } = await listenql('rotate', '--max-log-size', '1MiB')
    await slow.query('commit')
    expect(code).toBe(0)
    expect(stdout).toContain(
      'some events that are due could not be cleared: transactions that write to it are open\n',
    )
    expect((await log.pull(start, 5000)).length).toBe(3000)
  })
})
