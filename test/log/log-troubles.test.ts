import { afterEach, describe, expect, it } from 'vitest'
import { createServer } from '../../src/index.js'
import { readLogStatus } from '../../src/log/log-status.js'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { overSse } from '../support/clients.js'
import { createLog, lines, type TestLog } from '../support/log.js'
import { createObserved } from '../support/observed.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function prepare(options: Parameters<typeof createLog>[0] = {}): Promise<TestLog> {
  const log = await createLog(options)
  cleanUps.push(() => log.close())
  return log
}

const note = (log: TestLog, subject: string, stalled = false) =>
  log.query('select listenql.note_trouble($1, $2, $3, $4)', [subject, 'place', 'reason', stalled])
const subjects = async (log: TestLog) =>
  (await log.query('select subject from listenql.troubles()')).map(({ subject }) => subject)

describe('the troubles that servers record about the log', () => {
  it('are the latest per subject, with stalled servers first, and can be withdrawn', async () => {
    const log = await prepare()
    await note(log, 'table a')
    await note(log, 'server 1', true)
    await note(log, 'table b')
    await note(log, 'table a')
    expect(await subjects(log)).toEqual(['server 1', 'table a', 'table b'])
    await log.query(`select listenql.forget_trouble('server 1')`)
    expect(await subjects(log)).toEqual(['table a', 'table b'])
  })

  it('are hidden if their server has reported nothing for five minutes and is presumed gone', async () => {
    const log = await prepare()
    await note(log, 'server 1', true)
    await note(log, 'table a')
    await log.query(`update listenql.trouble set at = at - interval '6 minutes'`)
    expect(await subjects(log)).toEqual(['table a'])
  })

  it('are limited to a thousand subjects, and to a number of characters each', async () => {
    const log = await prepare()
    await log.query(
      `select listenql.note_trouble('table ' || i || repeat('x', 1000), repeat('y', 1000), repeat('z', 10000), false) from generate_series(1, 1100) i`,
    )
    expect(
      await log.query(`select count(*)::int as count, max(length(subject)) as subject, max(length(place)) as place,
        max(length(reason)) as reason, min((substring(subject from '\\d+'))::int) as first from listenql.trouble`),
    ).toEqual([{ count: 1000, subject: 300, place: 300, reason: 1000, first: 101 }])
    await log.query(`select listenql.forget_trouble('table 1100' || repeat('x', 1000))`)
    expect(await log.query('select count(*)::int as count from listenql.trouble')).toEqual([{ count: 999 }])
  })

  it('have a table in a database made by version 8, whose events remain', async () => {
    const log = await prepare({ migrated: false })
    const client = await log.connect()
    await migrate(client, { migrations: readMigrations().slice(0, 8) })
    await log.query('create table t (id int primary key)')
    await log.watch('t')
    const before = await log.newest()
    await log.query('insert into t values (1)')
    expect((await readLogStatus(client))?.troubles).toEqual([])
    await migrate(client)
    await log.query('insert into t values (2)')
    expect(lines(await log.pull(before))).toHaveLength(2)
    await note(log, 'table t')
    expect((await readLogStatus(client))?.troubles).toMatchObject([
      { subject: 'table t', place: 'place', reason: 'reason', stalled: false },
    ])
  })

  it('are optional: a server on an older schema delivers as well', async () => {
    const log = await prepare({ encoding: 'SQL_ASCII' })
    await log.query('create table t (id int primary key, v text)')
    await log.watch('t')
    await log.query(
      'drop function listenql.note_trouble, listenql.forget_trouble, listenql.troubles; drop table listenql.trouble',
    )
    const observed = createObserved()
    const { observe } = observed
    const server = await createServer({ databaseUrl: log.database.url, port: 0, logLevel: 'silent', observe })
    cleanUps.push(() => server.close())
    const subscription = await overSse('POST')(server.url, 'subscription { tChanged { row { id v } } }')
    await log.query(`insert into t values (1, E'\\377'); insert into t values (2, 'x')`)
    expect(await subscription.results.take(2)).toMatchObject([
      { data: { tChanged: { row: { id: 1, v: null } } } },
      { data: { tChanged: { row: { id: 2, v: 'x' } } } },
    ])
    await observed.until('event.unreadable', { topic: 'table t' })
    expect(observed.all('log.lost')).toEqual([])
    await subscription.close()
  })
})
