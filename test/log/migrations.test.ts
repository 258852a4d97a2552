import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { printInstallSql, uninstall } from '../../src/log/install.js'
import { readMigrations } from '../../src/log/migration-files.js'
import { installedVersion, migrate } from '../../src/log/migrations.js'
import { createLog, lines, type TestLog } from '../support/log.js'

let log: TestLog
const newest = readMigrations().length
beforeEach(async () => {
  log = await createLog({ migrated: false })
})
afterEach(() => log.close())

/** All objects of schema `listenql` and its triggers, without oids. */
const inventory = () =>
  log.query(`select pg_describe_object(classid, objid, 0) as what from pg_depend
    where refclassid = 'pg_namespace'::regclass and refobjid = to_regnamespace('listenql') order by 1`)

describe('migrate', () => {
  it('installs the log once', async () => {
    const client = await log.connect()
    expect(await installedVersion(client)).toBe(0)
    expect(await migrate(client)).toEqual({ from: 0, to: newest })
    expect(await migrate(client)).toEqual({ from: newest, to: newest })
    expect(await installedVersion(client)).toBe(newest)
  })

  it('installs the log once if eight processes run it', async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, () => log.connect()))
    const results = await Promise.all(clients.map(client => migrate(client)))
    expect(results.map(result => result.to)).toEqual(Array(8).fill(newest))
    expect(await log.query('select version from listenql.migration order by 1')).toEqual(
      Array.from({ length: newest }, (_, index) => ({ version: index + 1 })),
    )
  })

  it('installs the log once if eight processes run it without a common advisory lock', async () => {
    // As through a pooler: each process takes a lock that the others do not see.
    const clients = await Promise.all(Array.from({ length: 8 }, () => log.connect()))
    const results = await Promise.all(clients.map(client => migrate(withoutAdvisoryLock(client))))
    expect(results.map(result => result.to)).toEqual(Array(8).fill(newest))
    expect((await log.query('select count(*)::int as count from listenql.batch'))[0]).toEqual({ count: 1 })
  })

  it('continues from any version, and rolls back a migration that fails', async () => {
    const client = await log.connect()
    const all = readMigrations()
    const broken = [
      ...all.slice(0, 3),
      { version: 4, name: 'broken', sql: 'create table listenql.half (x int); select 1 / 0' },
    ]
    await expect(migrate(client, { migrations: broken })).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
      message: expect.stringContaining('migration 4 (broken)'),
    })
    expect(await installedVersion(client)).toBe(3)
    expect(await log.query(`select to_regclass('listenql.half') as half`)).toEqual([{ half: null }])
    expect(await migrate(client)).toEqual({ from: 3, to: newest })
  })

  it('refuses a newer database', async () => {
    const client = await log.connect()
    await migrate(client)
    await log.query(`insert into listenql.migration (version, name) values ($1, 'future')`, [newest + 1])
    await expect(migrate(client)).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
      message: `schema listenql has version ${newest + 1}, this program supports versions up to ${newest}`,
    })
  })

  it('names the missing privilege', async () => {
    await log.database.query(
      `alter database ${log.database.name} owner to postgres; revoke create on database ${log.database.name} from public`,
    )
    await expect(migrate(await log.connect())).rejects.toMatchObject({
      code: 'DATABASE_FAILED',
      hint: expect.stringContaining('CREATE on the database'),
    })
  })

  it('runs as a role that has CREATE on the database and owns nothing else', async () => {
    await log.database.query(
      `alter database ${log.database.name} owner to postgres; grant create on database ${log.database.name} to ${log.database.name}`,
    )
    expect(await migrate(await log.connect())).toEqual({ from: 0, to: newest })
  })
})

describe('the printed script', () => {
  it('creates what migrate creates, with grants for roles with unusual names', async () => {
    const role = `${log.database.name} "odd"`
    await log.database.query(`create role ${pg.escapeIdentifier(role)}`)
    try {
      const client = await log.connect()
      await client.query(printInstallSql({ grantTo: role }))
      const printed = await inventory()
      expect(await migrate(client)).toEqual({ from: newest, to: newest })
      const [right] = await log.query(
        `select has_function_privilege($1, 'listenql.newest()', 'execute') as has`,
        [role],
      )
      expect(right).toEqual({ has: true })
      await log.query('drop schema listenql cascade')
      await migrate(client)
      expect(await inventory()).toEqual(printed)
    } finally {
      await log.database.query(
        `drop owned by ${pg.escapeIdentifier(role)}; drop role ${pg.escapeIdentifier(role)}`,
      )
    }
  })
})

describe('uninstall', () => {
  it('leaves no object, and tables that still accept writes', async () => {
    const client = await log.connect()
    const before = await log.query(`select count(*)::int as count from pg_depend`)
    await migrate(client)
    await log.query(
      `create table t (id int primary key); create table p (id int) partition by list (id); create table p1 partition of p default`,
    )
    await log.watch('t', 'p')
    await log.query('insert into t values (1)')
    await uninstall(client)
    expect(await log.query(`select tgname from pg_trigger where tgname like '%listenql%'`)).toEqual([])
    expect(await log.query(`select to_regnamespace('listenql') as schema`)).toEqual([{ schema: null }])
    await log.query('insert into t values (2); insert into p values (1); drop table t; drop table p')
    expect(await log.query(`select count(*)::int as count from pg_depend`)).toEqual(before)
    await uninstall(client) // a second run is fine
  })

  it('allows a new installation that starts afresh', async () => {
    const client = await log.connect()
    await migrate(client)
    await uninstall(client)
    await migrate(client)
    await log.query('create table t (id int primary key)')
    await log.watch('t')
    const start = await log.newest()
    await log.query('insert into t values (1)')
    expect(lines(await log.pull(start))).toEqual(['I {"id":1}'])
  })
})

function withoutAdvisoryLock(client: pg.Client): pg.Client {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown
  client.query = ((...args: unknown[]) =>
    String(args[0]).includes('pg_advisory_xact_lock')
      ? query('select 1')
      : query(...args)) as typeof client.query
  return client
}
