import { afterAll, beforeAll, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { applyChange, createClient, createRowFeed } from '../../../src/client/index.js'
import { type CuttingProxy, startCuttingProxy } from '../../support/cutting-proxy.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let live: Live
let proxy: CuttingProxy
beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (id int primary key, name text)')
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

interface Change {
  readonly operation: string
  readonly key: { readonly id: number } | null
  readonly row: { readonly id: number; readonly name: string } | null
  readonly transaction: string
}

it('batches are the transactions, through a lost connection and a new history of the table', async () => {
  await log.query(`insert into people values (1, 'a'), (2, 'b')`)
  const client = createClient({
    url: `${proxy.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 5)),
  })
  const states: string[] = []
  const batches: { readonly transaction: string | undefined; readonly changes: readonly Change[] }[] = []
  const copy = new Map<number, unknown>()
  const apply = (change: Change) => applyChange(copy, change, ({ id }) => id)
  const feed = createRowFeed<{ peopleChanged: Change }, Record<string, never>>(
    client,
    {
      changes:
        'subscription { peopleChanged(initial: true) { operation key { id } row { id name } transaction } }',
    },
    {
      rows(rows) {
        copy.clear()
        rows.forEach(apply)
        states.push(`rows ${rows.length}`)
      },
      changes(changes, transaction) {
        batches.push({ transaction, changes })
        changes.forEach(apply)
      },
      status: ({ state }) => states.push(state),
    },
  )
  const same = async (what: string) => {
    const rows = await log.query('select id, name from people order by id')
    const wanted = JSON.stringify(rows)
    const sorted = () => [...copy].toSorted(([a], [b]) => a - b).map(([, row]) => row)
    await waitUntil(() => JSON.stringify(sorted()) === wanted, what)
  }
  await waitUntil(() => states.includes('live'), 'the rows')
  expect(states).toEqual(['rows 2', 'live'])

  const written: string[] = []
  const write = async (sql: string) => {
    const [row] = await log.query(`with w as (${sql} returning 1) select pg_current_xact_id()::text as xid`)
    written.push(row?.xid as string)
  }
  await write(`insert into people values (3, 'c'), (4, 'd')`)
  await write(`update people set name = name || '!'`)
  await same('the first changes')
  await proxy.cut()
  await write('delete from people where id < 3')
  await write(`insert into people select i, 'many' from generate_series(10, 3009) i`)
  await proxy.mend()
  await same('the changes during the outage')
  expect(batches.slice(0, 3).map(({ changes }) => changes.map(({ operation }) => operation))).toEqual([
    ['INSERT', 'INSERT'],
    ['UPDATE', 'UPDATE', 'UPDATE', 'UPDATE'],
    ['DELETE', 'DELETE'],
  ])
  const transactions = batches.map(({ transaction }) => transaction)
  expect([...new Set(transactions)]).toEqual(written)
  for (const { transaction, changes } of batches)
    expect(new Set(changes.map(change => change.transaction))).toEqual(new Set([transaction]))
  expect(batches.flatMap(({ changes }) => changes).length).toBe(2 + 4 + 2 + 3000)

  states.length = 0
  await log.query('alter table people alter name type text using upper(name)')
  await waitUntil(() => states.includes('live'), 'the rows again')
  expect(states).toEqual(['catching-up', 'rows 3002', 'live'])
  await same('the rows after ALTER TABLE')
  feed.dispose()
  await client.dispose()
})
