import { afterEach, beforeEach, expect, it } from 'vitest'
import { breakLog } from '../support/faulty-log.js'
import { createLive, type Live, nextChange } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'

/** Time limits of a session, by the first version of Postgres that has them. */
const LIMITS: readonly (readonly [name: string, since: number])[] = [
  ['statement_timeout', 0],
  ['idle_in_transaction_session_timeout', 0],
  ['idle_session_timeout', 140_000],
  ['transaction_timeout', 170_000],
]
const LIMIT = '400ms'
const LONGER_SECONDS = 0.6

let log: TestLog
let live: Live
beforeEach(async () => {
  log = await createLog()
  await log.query('create table people (pk int primary key, name text)')
  await log.watch('people')
  await log.fresh()
  const [row] = await log.query('show server_version_num')
  for (const [name, since] of LIMITS)
    if (Number(row?.server_version_num) >= since)
      await log.query(`alter role ${log.database.name} set ${name} = '${LIMIT}'`)
  live = await createLive(log)
})
afterEach(async () => {
  await live.close()
  await log.close()
})

const PEOPLE = 'subscription ($after: String) { peopleChanged(after: $after) { operation row { name } } }'

async function sessions(): Promise<string[]> {
  const rows = await log.query(
    `select application_name || ' ' || pid as session from pg_stat_activity
      where datname = current_database() and application_name in ('listenql listen', 'listenql log', 'listenql catalog') order by 1`,
  )
  return rows.map(({ session }) => String(session))
}

it('reads of the log may exceed the time limits of the login, and idle sessions stay open', async () => {
  await live.ready('{ people { cursor } }')
  const start = await live.cursor('people')
  const stream = await live.subscribe(PEOPLE)
  const channel = await live.subscribe('subscription { channel(name: "news") { payload gap } }')
  const before = await sessions()
  expect(before).toHaveLength(3)

  await breakLog(log, {
    event: `pg_sleep(${LONGER_SECONDS}) is null`,
    statement: 'is null',
    code: 'XX000',
    message: 'never',
  })
  await log.query(`insert into people values (1, 'Paul')`)
  const inserted = { operation: 'INSERT', row: { name: 'Paul' } }
  expect(await nextChange(stream)).toEqual(inserted)
  const resumed = await live.subscribe(PEOPLE, { after: start })
  expect(await nextChange(resumed)).toEqual(inserted)
  await log.query(`notify news, 'still there'`)
  expect(await channel.results.next()).toMatchObject({
    data: { channel: { payload: 'still there', gap: false } },
  })
  expect(await sessions()).toEqual(before)
})
