import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { statusWarnings } from '../../../src/commands/status-warnings.js'
import { type LogStatus, readLogStatus } from '../../../src/log/log-status.js'
import { readMigrations } from '../../../src/log/migration-files.js'
import { createLeadership } from '../../../src/log/pace/leadership.js'
import { runCli } from '../../support/cli.js'
import { cursorsOf } from '../../support/cursors.js'
import { createLog, type TestLog } from '../../support/log.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog({ migrated: false })
})
afterAll(() => log.close())
beforeEach(async () => {
  await log.query('drop schema if exists listenql cascade; drop table if exists t, "Odd one"')
  await log.query('create table t (id int primary key, v text); create table "Odd one" (a int)')
})

const listenql = (...argv: string[]) => runCli(argv, { env: { DATABASE_URL: log.database.url } })
const read = async (): Promise<LogStatus> => {
  const status = await readLogStatus(await log.connect())
  if (!status) throw new Error('there is no schema listenql')
  return status
}

describe('listenql status', () => {
  it('without a schema says how to begin', async () => {
    const { code, stdout, stderr } = await listenql('status')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain(
      'Nothing is watched: there is no schema listenql. To begin: listenql watch TABLE\n',
    )
    expect(JSON.parse((await listenql('status', '--json')).stdout)).toEqual({
      installed: false,
      warnings: [],
    })
  })

  it('shows tables, log, position, lag, servers and doorbell', async () => {
    await listenql('watch', 't', '"Odd one"')
    await log.query(`insert into t values (1, 'a'), (2, 'b')`)
    const first = await listenql('status')
    expect([first.code, first.stderr]).toEqual([0, ''])
    const { stdout } = first
    expect(stdout).toMatch(/^Database {2}'test_\w+' to 'test_\w+' @ '[\w.]+:\d+', PostgreSQL \d+/)
    expect(stdout).toContain(`Schema    listenql, version ${readMigrations().length}\n`)
    expect(stdout).toContain('Servers   none is connected\n')
    expect(stdout).toMatch(/^Log {7}\d+ kB, oldest event \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ \([\d.]+ s ago\)$/m)
    expect(stdout).toMatch(/^Lag {7}2 events wait to be read by a server, for [\d.]+ s$/m)
    expect(stdout).toContain('Doorbell  not armed: no server is connected\n')
    expect(stdout).toMatch(/^ "Odd one" \| \d{4}.*Z \| +\d+ \| none \| ok +\| yes$/m)
    expect(stdout).toMatch(/^ t +\| \d{4}.*Z \| +\d+ \| id +\| ok +\| yes$/m)

    const listening = await log.connect({ application_name: 'listenql listen' })
    const reading = await log.connect({ application_name: 'listenql log' })
    await createLeadership(
      async (sql, values) => (await reading.query(sql, values as unknown[])).rows,
    ).check()
    const start = await log.newest()
    await log.pull(start)
    await log.query('select listenql.arm(60)')
    const second = (await listenql('status')).stdout
    expect(second).toMatch(
      /^Servers {3}LISTEN connection: pid \d+.*; log connection: pid \d+ from [\d.:]+ \(leads\)$/m,
    )
    expect(second).toContain('Lag       none: every event has its position\n')
    const isPossible =
      (await log.query('show max_prepared_transactions'))[0]?.max_prepared_transactions === '0'
    expect(second).toContain(isPossible ? 'Doorbell  armed:' : 'Doorbell  not armed:')
    await listening.end()
    await reading.end()
  })

  it('--json has the same, a cursor that resumes, and the warnings', async () => {
    await listenql('watch', 't')
    await log.query('alter table t disable trigger listenql_insert')
    const { code, stdout } = await listenql('status', '--json')
    expect(code).toBe(0)
    const status = JSON.parse(stdout) as Record<string, unknown> & { cursor: string; warnings: string[] }
    expect(status).toMatchObject({
      installed: true,
      version: readMigrations().length,
      tables: [{ name: 't', key: ['id'], lacking: ['t'], always: false, readable: true }],
      log: { pending: 0, pendingSince: null, oldest: null },
      bellArmed: false,
      listening: [],
    })
    expect(await log.read((await cursorsOf(log)).decode(status.cursor))).toEqual([])
    expect(status.warnings).toEqual([
      't has an incomplete history: triggers are missing or disabled on t; enable those that are disabled (alter table … enable trigger user); listenql watch t creates those that are missing',
    ])
  })

  it('tells a login without privileges what it needs', async () => {
    await listenql('watch', 't')
    const role = `${log.database.name}_looker`
    await log.database.query(`create role ${role} login password 'x'`)
    try {
      const url = new URL(log.database.url)
      url.username = role
      url.password = 'x'
      const env = { DATABASE_URL: url.href }
      const refused = await runCli(['status'], { env })
      expect(refused).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('listenql install --grant-to LOGIN\n'),
      })
      await listenql('install', '--grant-to', role)
      const { code, stdout } = await runCli(['status'], { env })
      expect(code).toBe(0)
      expect(stdout).toContain('! Changes of t are sent, but the server may not read it: grant select on t\n')
      expect(stdout).toMatch(/ t .* no SELECT$/m)
    } finally {
      await log.database.query(`drop owned by ${role}; drop role ${role}`)
    }
  })

  it('names partitions that lack triggers', async () => {
    await log.query(
      `create table p (id int) partition by list (id); create table p1 partition of p for values in (1)`,
    )
    await listenql('watch', 'p')
    await log.query('create table p2 partition of p for values in (2)')
    expect((await read()).tables).toMatchObject([{ name: 'p', lacking: ['p2'] }])
    await log.query('drop table p')
  })
})

describe('warnings', () => {
  const HOUR = 3_600_000
  const settings = { retention: 24 * HOUR, maxLogSize: undefined, knows: readMigrations().length }
  const healthy = async () => {
    await listenql('watch', 't')
    const status = await read()
    expect(statusWarnings(status, settings)).toEqual([])
    return status
  }
  const ago = (status: LogStatus, ms: number) => new Date(status.now.getTime() - ms)

  it.each<[string, (status: LogStatus) => LogStatus, object, RegExp]>([
    [
      'an old schema',
      status => ({ ...status, version: 1 }),
      {},
      /version 1, this program needs \d+: run listenql install/,
    ],
    [
      'a newer schema',
      status => ({ ...status, version: 99 }),
      {},
      /version 99, this program knows \d+: update listenql/,
    ],
    [
      'a history that has not begun',
      status => ({ ...status, tables: status.tables.map(table => ({ ...table, since: null })) }),
      {},
      /The history of t has not begun/,
    ],
    [
      'a log near its limit',
      status => ({ ...status, log: { ...status.log, bytes: 90 * 2 ** 20 } }),
      { maxLogSize: 100 * 2 ** 20 },
      /The log has 90 MB of 100 MB/,
    ],
    [
      'a log that is not cleared',
      status => ({ ...status, log: { ...status.log, oldest: ago(status, 48 * HOUR) } }),
      {},
      /The oldest event is 2 days old, though --retention is 24 h/,
    ],
    [
      'events that no server reads',
      status => ({
        ...status,
        log: { ...status.log, pending: 10_001, pendingSince: ago(status, 60_000) },
      }),
      {},
      /More than 10000 events wait to be read: no server follows the log/,
    ],
    [
      'a server that does not listen',
      status => ({ ...status, reading: [{ pid: 1, since: null, address: null, leads: true }] }),
      {},
      /No server listens/,
    ],
    [
      'a full queue',
      status => ({ ...status, notificationQueue: 0.42 }),
      {},
      /queue of notifications is 42 % full/,
    ],
    [
      'a long-running transaction',
      status => ({
        ...status,
        longTransactions: [{ words: 'pid 7 of user me: select 1', since: ago(status, HOUR) }],
      }),
      {},
      /A transaction has been open for 60 min, .*: pid 7 of user me: select 1/,
    ],
  ])('of %s', async (_, change, options, expected) => {
    const warnings = statusWarnings(change(await healthy()), { ...settings, ...options })
    expect(warnings).toEqual([expect.stringMatching(expected)])
  })

  it('finds long-running transactions', async () => {
    await listenql('watch', 't')
    expect((await read()).longTransactions).toEqual([])
    const slow = await log.connect()
    await slow.query(`begin; insert into t values (1, 'a')`)
    const status = await readLogStatus(await log.connect(), undefined, { longMinutes: 0 })
    expect(status?.longTransactions).toMatchObject([
      { words: expect.stringContaining(`idle in its transaction: begin; insert into t`) },
    ])
    await slow.query('rollback')
  })
})
