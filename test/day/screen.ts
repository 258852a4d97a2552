import { WebSocket } from 'ws'
import { createClient, type LiveQuery, type LiveRows, liveQuery, liveRows } from '../../src/client/index.js'
import type { Entrance } from './requests.js'
import type { Row, Topic } from './topics.js'

/** The screen of one viewer, kept by `listenql/client`: lists by `liveRows`, and a live query. */
export interface Screen {
  readonly name: string
  /** The rows of a list, as JSON. */
  show(topic: Topic): string
  /** The live query that it shows. */
  readonly query: ShownQuery
  /** The present result of the live query, as JSON. */
  showQuery(): string
  close(): Promise<void>
}

/** A live query, and SQL for its result as JSON. */
export interface ShownQuery {
  readonly text: string
  readonly sql: string
}

export interface ScreenOptions {
  readonly name: string
  readonly entrance: Entrance
  readonly token: () => Promise<string>
  readonly topics: readonly Topic[]
  readonly query: ShownQuery
  readonly complain: (text: string) => void
}

export function openScreen({ name, entrance, token, topics, query, complain }: ScreenOptions): Screen {
  class TrustingSocket extends WebSocket {
    constructor(url: string, protocols: string) {
      super(url, protocols, { ca: entrance.ca })
    }
  }
  const client = createClient({
    url: `${entrance.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: TrustingSocket,
    connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
    retryWait: () => new Promise(resolve => setTimeout(resolve, 100)),
  })
  const lists = new Map<Topic, LiveRows<Row>>()
  const keep = (store: LiveRows<Row> | LiveQuery<Record<string, unknown>>, what: string) =>
    store.subscribe(() => {
      if (store.status.state === 'failed') complain(`${name}: ${what} failed: ${store.error?.message}`)
    })
  for (const topic of topics) {
    const store = liveRows<{ it: { row: Row } }>(client, { changes: topic.rows?.changes as string })
    keep(store, `the list of ${topic.name}`)
    lists.set(topic, store)
  }
  const live = liveQuery<Record<string, unknown>>(client, { query: query.text })
  keep(live, 'the live query')
  return {
    name,
    query,
    show(topic) {
      const { rows } = lists.get(topic)?.getSnapshot() ?? { rows: [] }
      return JSON.stringify(rows.toSorted((a, b) => a.id - b.id))
    },
    showQuery: () => JSON.stringify(live.getSnapshot().data),
    async close() {
      for (const store of [...lists.values(), live]) store.dispose()
      await client.dispose()
    },
  }
}
