import { expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import { waitUntil } from '../support/wait.js'

it('an upgrade from version 16, during which a transaction writes, keeps positions, order and history', async () => {
  const log = await createFormerLog(16)
  try {
    await log.query('create table t (id int primary key, v text)')
    await log.watch('t')
    const start = await log.newest()
    await log.query(`insert into t select g, 'old' from generate_series(1, 600) g`)
    const early = await log.pull(start, 250)
    const writer = await log.connect()
    const upgrader = await log.connect({ application_name: 'upgrader' })
    await writer.query(`begin; insert into t values (601, 'open')`)
    const upgraded = migrate(upgrader)
    await waitUntil(
      async () =>
        (
          await log.query(
            `select from pg_stat_activity where application_name = 'upgrader' and wait_event_type = 'Lock'`,
          )
        ).length > 0,
      'the upgrade to wait for the writer',
    )
    await writer.query(`insert into t select g, 'open' from generate_series(602, 700) g; commit`)
    expect(await upgraded).toEqual({ from: 16, to: readMigrations().length })
    // The session of the writer has plans of the former functions.
    await writer.query(`insert into t select g, 'new' from generate_series(701, 2700) g`)
    await writer.query(`update t set v = 'last' where id = 1`)

    const ids = (events: readonly { new: string | null }[]) =>
      events.map(event => JSON.parse(event.new ?? '{}').id)
    expect(ids(early)).toEqual(Array.from({ length: 250 }, (_, index) => index + 1))
    const rest = []
    for (let at = early.at(-1); at; ) {
      const page = await log.pull(at, 90)
      rest.push(...page)
      at = page.at(-1)
    }
    expect(ids(rest)).toEqual([...Array.from({ length: 2450 }, (_, index) => index + 251), 1])
    const [packed] = await log.query(`select count(*)::int as rows from listenql.event where operation = 'P'`)
    expect(Number(packed?.rows)).toBeGreaterThan(0)
    expect(await log.query('select generation from listenql.watched')).toEqual([{ generation: 1 }])
  } finally {
    await log.close()
  }
})
