/** The ways in which the clients of the benchmark of live queries keep their results up to date. */
import { Agent, request } from 'node:http'
import { type Client, createClient } from 'graphql-ws'
import { WebSocket } from 'ws'

export interface World {
  readonly port: number
  /** The root field of query number `id`, and its variable `$id`. */
  readonly query: (id: number) => { readonly field: string; readonly variables: { readonly id: number } }
  /** Called with each result, as text. */
  readonly onResult: (id: number, text: string) => void
}

export interface Way {
  readonly title: string
  /** Starts clients that keep the results of queries 1 to `count` up to date until they are stopped. */
  readonly start: (world: World, count: number) => Promise<() => Promise<void>>
}

/** Queries on one WebSocket. */
const SHARE = 200

const ROWS = 'rows { id total stamp customer { name } items(orderBy: [{ id: ASC }]) { sku quantity } }'

/** Each of the first `customers` queries is another one. */
export function differentQueries(customers: number): World['query'] {
  const field = `orders(where: { customerId: { eq: $id } }, orderBy: [{ id: DESC }], limit: 20) { ${ROWS} }`
  return id => ({ field, variables: { id: 1 + (id % customers) } })
}

/** All clients have the same query, whose result every update changes. */
export const identicalQueries: World['query'] = () => ({
  field: `orders(where: { id: { gt: $id } }, orderBy: [{ stamp: DESC }], limit: 20) { ${ROWS} }`,
  variables: { id: 0 },
})

const CHANGES = 'subscription { ordersChanged { operation } }'

function connect(port: number): Client {
  return createClient({
    url: `ws://127.0.0.1:${port}/graphql`,
    webSocketImpl: WebSocket,
    lazy: false,
    retryAttempts: 0,
  })
}

function subscribe(
  client: Client,
  query: string,
  variables: Record<string, unknown>,
  next: (text: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    client.subscribe(
      { query, variables },
      {
        next(value) {
          next(JSON.stringify(value))
          resolve()
        },
        error: error => reject(new Error(JSON.stringify(error))),
        complete: () => undefined,
      },
    )
  })
}

async function live({ port, query, onResult }: World, count: number) {
  const clients: Client[] = []
  for (let first = 1; first <= count; first += SHARE) {
    const client = connect(port)
    clients.push(client)
    const ids = Array.from({ length: Math.min(SHARE, count - first + 1) }, (_, i) => first + i)
    await Promise.all(
      ids.map(id => {
        const { field, variables } = query(id)
        return subscribe(client, `subscription ($id: Int!) { ${field} }`, variables, text =>
          onResult(id, text),
        )
      }),
    )
  }
  return async () => {
    for (const client of clients) await client.dispose()
  }
}

/** Each client begins at another moment of the second. */
async function polled(world: World, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const timers: NodeJS.Timeout[] = []
  for (let id = 1; id <= count; id++) {
    timers.push(
      setTimeout(
        () => {
          timers.push(setInterval(() => ask(world, agent, id).catch(() => undefined), 1000))
        },
        (1000 * id) / count,
      ),
    )
  }
  return async () => {
    for (const timer of timers) clearTimeout(timer)
    agent.destroy()
  }
}

/** Each client asks again after a change, unless it is asking. */
async function asked(world: World, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const client = connect(world.port)
  const asking = new Set<number>()
  let isOver = false
  const all = () => {
    for (let id = 1; id <= count && !isOver; id++) {
      if (asking.has(id)) continue
      asking.add(id)
      ask(world, agent, id)
        .catch(() => undefined)
        .finally(() => asking.delete(id))
    }
  }
  void subscribe(client, CHANGES, {}, all).catch(() => undefined)
  return async () => {
    isOver = true
    await client.dispose()
    agent.destroy()
  }
}

function ask({ port, query, onResult }: World, agent: Agent, id: number): Promise<void> {
  const { field, variables } = query(id)
  const body = JSON.stringify({ query: `query ($id: Int!) { ${field} }`, variables })
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    request({ port, host: '127.0.0.1', path: '/graphql', method: 'POST', agent, headers }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => {
        onResult(id, text)
        resolve()
      })
    })
      .on('error', reject)
      .end(body)
  })
}

export const WAYS: Readonly<Record<string, Way>> = {
  live: { title: 'live queries', start: live },
  polled: { title: 'asked every second', start: polled },
  asked: { title: 'asked after each change', start: asked },
}
