import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { createClient, type LiveRows, liveRows } from '../../src/client/index.js'
import { type CuttingProxy, startCuttingProxy } from '../support/cutting-proxy.js'
import { createLive, type Live } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'
import { waitUntil } from '../support/wait.js'

interface Row {
  readonly id: number
  readonly team: string
  readonly v: number
}

type Step =
  | { readonly do: 'write'; readonly sql: readonly string[] }
  | { readonly do: 'settle' | 'cut' | 'mend' | 'restart' | 'alter' | 'refetch' | 'leave and return' }

const id = fc.integer({ min: 1, max: 9 })
const team = fc.constantFrom('red', 'blue')
const statement = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(id, team, fc.nat(3))
      .map(
        ([id, team, v]) =>
          `insert into people values (${id}, '${team}', ${v}) on conflict (id) do update set team = excluded.team, v = excluded.v`,
      ),
  },
  { weight: 3, arbitrary: id.map(id => `delete from people where id = ${id}`) },
  { weight: 2, arbitrary: team.map(team => `update people set v = v + 1 where team = '${team}'`) },
  { weight: 1, arbitrary: id.map(id => `update people set id = id + 100 where id = ${id}`) },
  { weight: 1, arbitrary: fc.constant('truncate people') },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc
      .array(statement, { minLength: 1, maxLength: 4 })
      .map(sql => ({ do: 'write', sql }) as const),
  },
  { weight: 5, arbitrary: fc.constantFrom({ do: 'cut' } as const, { do: 'mend' } as const) },
  { weight: 4, arbitrary: fc.constant({ do: 'settle' } as const) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      { do: 'restart' } as const,
      { do: 'alter' } as const,
      { do: 'refetch' } as const,
      { do: 'leave and return' } as const,
    ),
  },
)

let log: TestLog
let live: Live
let proxy: CuttingProxy
beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (id int primary key, team text not null, v int not null)')
  await log.watch('people')
  live = await createLive(log)
  await live.ready('{ people { cursor } }')
  proxy = await startCuttingProxy(live.server.url)
})
afterAll(async () => {
  await proxy.close()
  await live.close()
  await log.close()
})
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const CHANGES = `subscription ($where: PeopleFilter) {
  peopleChanged(initial: true, where: $where) { operation key { id } row { id team v } transaction }
}`
const byValue = (a: Row, b: Row) => a.v - b.v || a.id - b.id
const byId = (a: Row, b: Row) => a.id - b.id

/** The rows that a store keeps, as a text that does not depend on their order. */
const textOf = (rows: readonly Row[]) => JSON.stringify(rows.toSorted(byId))

async function run(steps: readonly Step[]): Promise<void> {
  await log.query('delete from people')
  /** The table after each transaction since then. */
  const states: (readonly Row[])[] = [[]]
  const client = createClient({
    url: `${proxy.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 5)),
  })
  cleanUps.push(() => client.dispose())
  let isCut = false
  const mend = async () => {
    if (isCut) await proxy.mend()
    isCut = false
  }
  cleanUps.push(mend)
  const isRed = ({ team }: Row) => team === 'red'
  const follow = (
    select: (row: Row) => boolean,
    options: { where?: object; compare?: (a: Row, b: Row) => number },
  ) => {
    const { where, compare } = options
    const store = liveRows<{ peopleChanged: { row: Row } }>(client, {
      changes: CHANGES,
      variables: { where },
      compare,
      linger: 0,
    })
    const snapshots: (readonly Row[])[] = []
    const listener = () => snapshots.push(store.getSnapshot().rows)
    return { store, select, compare, snapshots, listener, leave: store.subscribe(listener) }
  }
  const all = [
    follow(() => true, {}),
    follow(() => true, { compare: byValue }),
    follow(isRed, { where: { team: { eq: 'red' } } }),
  ]
  cleanUps.push(() => {
    for (const { store } of all) store.dispose()
  })
  const isEqual = (store: LiveRows<Row>, select: (row: Row) => boolean) =>
    store.status.state === 'live' &&
    textOf(store.getSnapshot().rows) === textOf((states.at(-1) ?? []).filter(select))
  const settle = () =>
    waitUntil(
      () => all.every(({ store, select }) => isEqual(store, select)),
      () =>
        `the stores to equal the table: ${JSON.stringify([states.at(-1), ...all.map(({ store }) => store.getSnapshot())])}`,
    )

  for (const one of steps) {
    if (one.do === 'write') {
      const connection = await log.connect()
      await connection.query('begin')
      for (const sql of one.sql) await connection.query(sql)
      const { rows } = await connection.query<Row>('select id, team, v from people')
      await connection.query('commit')
      await connection.end()
      states.push(rows)
    } else if (one.do === 'settle') {
      if (!isCut) await settle()
    } else if (one.do === 'cut') {
      if (!isCut) await proxy.cut()
      isCut = true
    } else if (one.do === 'mend') await mend()
    else if (one.do === 'restart') {
      const port = Number(new URL(live.server.url).port)
      await live.close()
      live = await createLive(log, { port })
    } else if (one.do === 'alter') await log.query('alter table people alter v type int using v')
    else if (one.do === 'refetch') for (const { store } of all) store.refetch()
    else
      for (const each of all) {
        each.leave()
        await new Promise(resolve => setTimeout(resolve, 0)) // `linger` is over
        each.leave = each.store.subscribe(each.listener)
      }
  }
  await mend()
  await settle()
  for (const { select, compare, snapshots } of all) {
    const known = new Set(states.map(rows => textOf(rows.filter(select))))
    for (const rows of snapshots) {
      expect(known).toContain(textOf(rows))
      if (compare) expect(rows).toEqual(rows.toSorted(compare))
    }
  }
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
}

it('the rows of every snapshot are the table after one of its transactions, and at rest after the last', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), steps => run(steps)),
    { numRuns: 12, interruptAfterTimeLimit: 90_000, endOnFailure: true },
  )
}, 150_000)
