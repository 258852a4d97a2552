import { WebSocket } from 'ws'
import { createClient, type LiveRows, liveRows } from '../../src/client/index.js'
import { waitUntil } from '../support/wait.js'
import type { StressDatabase } from './database.js'
import type { Random } from './random.js'
import type { StressServers } from './servers.js'
import { ORDERS, PEOPLE, type Row, type TopicSpec, type View } from './topics.js'

/** Lists of `liveRows`, one for each view of a table that has all operations. */
export interface KeptLists {
  /** Resolves once all lists equal the tables, which must not change meanwhile. */
  equal(): Promise<void>
  dispose(): Promise<void>
}

interface KeptList {
  readonly topic: TopicSpec
  readonly view: View
  readonly store: LiveRows<Row>
}

export interface KeptListsOptions {
  readonly servers: StressServers
  readonly random: Random
  readonly query: StressDatabase['query']
  /** How long the lists may take, in ms. */
  readonly patience: number
}

/** The lists share a client that reconnects to any of the servers. */
export function createKeptLists({ servers, random, query, patience }: KeptListsOptions): KeptLists {
  const client = createClient({
    url: () => `${random.pick(servers.all).url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 50)),
  })
  const lists: KeptList[] = [PEOPLE, ORDERS].flatMap(topic =>
    topic.views
      .filter(view => !view.operations)
      .map(view => {
        const store = liveRows<{ it: { row: Row } }>(client, {
          changes: topic.changes as string,
          variables: { where: view.where },
        })
        store.subscribe(() => store.getSnapshot())
        return { topic, view, store }
      }),
  )
  const sorted = (rows: readonly Row[]) => rows.map(row => JSON.stringify(row)).sort()
  return {
    async equal() {
      for (const { topic, view, store } of lists) {
        const rows = await query<{ row: string }>(topic.rowsSql as string)
        const wanted = sorted(rows.map(({ row }) => JSON.parse(row) as Row).filter(view.matches))
        const kept = () => sorted(store.getSnapshot().rows)
        const isEqual = () => JSON.stringify(kept()) === JSON.stringify(wanted)
        await waitUntil(
          () => store.status.state === 'live' && isEqual(),
          () =>
            `the list of ${topic.name}, ${view.name} (${store.status.state}, ${store.error?.message ?? 'no error'}) to have ${wanted.join(' ')} instead of ${kept().join(' ')}`,
          patience,
        )
      }
    },
    async dispose() {
      for (const { store } of lists) store.dispose()
      await client.dispose()
    },
  }
}
