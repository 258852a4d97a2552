import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { overGraphqlWs, overSse, type TestSubscription } from '../support/clients.js'
import { codeOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
let server: ListenqlServer
beforeAll(async () => {
  log = await createLog()
  await log.query('create table t (id int primary key, v int)')
  await log.watch('t')
  server = await createServer({ databaseUrl: log.database.url, port: 0, logLevel: 'silent' })
})
afterAll(async () => {
  await server.close()
  await log.close()
})

const NEWS = 'subscription ($after: String) { channel(name: "news", after: $after) { payload cursor gap } }'
const CHANGES = 'subscription ($after: String) { tChanged(after: $after) { cursor key { id } } }'

/**
 * What a failover to a standby that had not received everything does: the last batches and their events are
 * lost.
 */
async function loseHistory(upTo: number): Promise<void> {
  await log.query(
    `with lost as (delete from listenql.batch where n > $1 returning xids)
     delete from listenql.event where xid in (select unnest(xids) from lost)`,
    [upTo],
  )
}

const publish = (text: string) => log.query('select listenql.publish($1, $2::text)', ['news', text])

async function next(
  subscription: TestSubscription,
  what = 'an event',
): Promise<{ payload: string; cursor: string; gap: boolean }> {
  const { data } = (await subscription.results.next(what, 5000)) as { data: { channel: never } }
  return data.channel
}

it.each([
  ['graphql-ws', overGraphqlWs],
  ['SSE', overSse('GET')],
] as const)(
  'followers of a history that is lost in a failover get a gap or an error: %s',
  async (_name, subscribe) => {
    const fresh = await subscribe(server.url, NEWS)
    const { n } = await log.newest()
    const cursors: string[] = []
    for (const text of ['one', 'two', 'three']) {
      await publish(text)
      cursors.push((await next(fresh)).cursor)
    }
    const [first = '', , last = ''] = cursors
    const resumed = await subscribe(server.url, NEWS, { after: first })
    expect((await next(resumed)).payload).toBe('two')
    expect((await next(resumed)).payload).toBe('three')
    expect((await next(resumed)).gap).toBe(true) // at the seam
    const table = await subscribe(server.url, CHANGES, { after: last })

    await loseHistory(n)
    for (const [i, subscription] of [fresh, resumed].entries())
      expect((await next(subscription, `gap ${i}`)).gap).toBe(true)
    expect(codeOf(await table.results.next())).toMatch(/^CURSOR_/)
    await publish('another')
    for (const [i, subscription] of [fresh, resumed].entries())
      expect((await next(subscription, `another ${i}`)).payload).toBe('another')

    // A cursor of the lost part is refused, even once the new history has reached its batch number.
    for (const text of ['more', 'and more', 'and more still']) await publish(text)
    const refused = await subscribe(server.url, NEWS, { after: last })
    expect(codeOf(await refused.results.next())).toBe('CURSOR_INVALID')
    for (const subscription of [fresh, resumed, table, refused]) await subscription.close()
  },
)
