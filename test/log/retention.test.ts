import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Observation } from '../../src/lib/observation.js'
import { createRetention, type Retention, type RetentionOptions } from '../../src/log/retention.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { createLog, type TestLog } from '../support/log.js'
import { waitUntil } from '../support/wait.js'

const HOUR = 3_600_000
let log: TestLog
let seen: Observation[]
let loops: Retention[]
beforeEach(async () => {
  log = await createLog()
  await log.query('create table t (id int, v text)')
  await log.watch('t')
  seen = []
  loops = []
})
afterEach(async () => {
  for (const loop of loops) await loop.close()
  await log.close()
})

function start(options: Partial<RetentionOptions> = {}): Retention {
  const loop = createRetention({
    config: connectionOptions(log.database.url),
    limits: { retention: 24 * HOUR, maxLogSize: undefined },
    connectTimeout: 5000,
    interval: 20,
    observe: observation => seen.push(observation),
    ...options,
  })
  loops.push(loop)
  loop.start()
  return loop
}
/** Images of this size are not packed. */
const fill = () =>
  log
    .query(`insert into t select g, repeat('x', 2000) from generate_series(1, 2000) g`)
    .then(() => log.fresh())
const age = (hours: number) =>
  log.query(
    `with b as (update listenql.batch set at = at - make_interval(hours => ${hours}))
     update listenql.history set slot_opened = slot_opened - make_interval(hours => ${hours})`,
  )
const events = async () => Number((await log.query('select count(*) from listenql.event'))[0]?.count)
const types = () => seen.map(({ type }) => type)

it('retention clears events older than the limit and keeps younger ones, with several loops at once', async () => {
  for (let server = 0; server < 3; server++) start()
  await fill()
  await age(10)
  await waitUntil(
    async () => (await log.query('select last_value::int from listenql.head'))[0]?.last_value === 1,
    'the log to move on to the next partition',
  )
  await fill()
  expect(await events()).toBe(4000)
  await age(20)
  await waitUntil(async () => (await events()) === 2000, 'the older half to go')
  await age(20)
  await waitUntil(async () => (await events()) === 0, 'all to go')
  expect(new Set(types())).toEqual(new Set(['log.rotated']))
  expect(seen[0]).toMatchObject({ dropped: 1, droppedBytes: expect.any(Number), bytes: expect.any(Number) })
})

it('retention ends the history when the log is too large, and reports that', async () => {
  await fill()
  start({ limits: { retention: 24 * HOUR, maxLogSize: 200_000 } })
  await waitUntil(async () => (await events()) === 0, 'the log to be cleared')
  await waitUntil(() => types().includes('log.cap-exceeded'), 'the report')
  expect(seen.find(({ type }) => type === 'log.cap-exceeded')).toMatchObject({
    limit: 200_000,
    early: 1,
    busy: undefined,
  })
})

it('retention reports once that a log over its size limit cannot be cleared, and clears it later', async () => {
  const slow = await log.connect()
  await slow.query(`begin; insert into t values (0, 'slow')`)
  await fill()
  start({ limits: { retention: 24 * HOUR, maxLogSize: 200_000 } })
  await waitUntil(() => types().includes('log.cap-exceeded'), 'the report')
  expect(seen).toEqual([
    {
      type: 'log.cap-exceeded',
      limit: 200_000,
      bytes: expect.any(Number),
      early: 0,
      droppedBytes: 0,
      busy: 'a transaction that may have written to the log is still open',
    },
  ])
  await slow.query('commit')
  await waitUntil(async () => (await events()) === 0, 'the log to be cleared')
  await waitUntil(() => types().includes('log.rotated'), 'the report of the rotation')
  expect(types().filter(type => type === 'log.cap-exceeded').length).toBe(2)
})

it('retention does nothing and reports nothing without a log, or without the privilege to rotate it', async () => {
  const rotations = async () =>
    Number(
      (await log.query(`select count(*) from pg_stat_activity where application_name = 'listenql rotate'`))[0]
        ?.count,
    )
  await log.query('alter schema listenql rename to elsewhere')
  start()
  await waitUntil(async () => (await rotations()) > 0, 'an attempt')
  expect(seen).toEqual([])
  const stranger = `${log.database.name}_stranger`
  await log.database.query(`create role ${stranger} login password 'x'`)
  try {
    await log.query('alter schema elsewhere rename to listenql')
    await loops.pop()?.close()
    const url = new URL(log.database.url)
    url.username = stranger
    url.password = 'x'
    start({ config: connectionOptions(url.href) })
    await waitUntil(async () => (await rotations()) > 0, 'an attempt')
    expect(seen).toEqual([])
  } finally {
    await loops.pop()?.close()
    await log.database.query(`drop role ${stranger}`)
  }
})

it('retention works with any default settings of the login', async () => {
  await log.database.query(
    `alter role ${log.database.name} set default_transaction_isolation = 'serializable';
     alter role ${log.database.name} set default_transaction_read_only = on`,
  )
  await fill()
  await age(30)
  start()
  await waitUntil(async () => (await events()) === 0, 'the log to be cleared')
  expect(types()).not.toContain('log.rotation-failed')
})

it('retention reports once that it fails, and keeps trying', async () => {
  let attempts = 0
  const broken = createServer(socket => {
    attempts++
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(broken, 'listening')
  try {
    const { port } = broken.address() as AddressInfo
    start({ config: { ...connectionOptions(log.database.url), host: '127.0.0.1', port } })
    await waitUntil(() => attempts > 3, 'several attempts')
    expect(types()).toEqual(['log.rotation-failed'])
  } finally {
    broken.close()
  }
})

it('retention can be closed during a wait and during a rotation that hangs, and more than once', async () => {
  const waiting = start({ interval: HOUR })
  await waiting.close()
  await waiting.close()
  const holder = await log.connect()
  await holder.query('begin; lock table listenql.history in access exclusive mode')
  const hanging = start()
  const stuck = `select from pg_stat_activity where application_name = 'listenql rotate' and wait_event_type = 'Lock'`
  await waitUntil(async () => (await log.query(stuck)).length > 0, 'the rotation to hang')
  await hanging.close()
  expect(seen).toEqual([])
  await holder.query('rollback')
})
