/**
 * What live queries cost: clients with different nested queries watch their orders while a writer updates random rows. Three ways run
 * in turn within a round: live queries; the same queries asked every second; and the same queries asked again after each change of
 * the tables. The table shows reads per second, the processor time of the server's sessions in Postgres and of the server's process, and
 * the time from a commit to the client. The clients are in the process of the benchmark and use real sockets.
 *
 *   npx tsx bench/live.ts [--queries N,N] [--rate N] [--seconds N] [--rounds N] [--url URL] [--directory DIR]
 */
import { Agent, request } from 'node:http'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { type Client, createClient } from 'graphql-ws'
import { WebSocket } from 'ws'
import { formatTable } from '../src/lib/table.js'
import { type Child, startChild } from './lib/child.js'
import { pause } from './lib/clock.js'
import { createBenchDatabase } from './lib/database.js'
import type { LiveMethods } from './lib/live-child.js'
import { processorTime } from './lib/processor-time.js'
import { median, quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    queries: { type: 'string', default: '1,100,1000' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const RATE = Number(values.rate)
const SECONDS = Number(values.seconds)
const CUSTOMERS = 1000
const ORDERS = 5000
/** Queries on one WebSocket. */
const SHARE = 200

const FIELDS = `orders(where: { customerId: { eq: $id } }, orderBy: [{ id: DESC }], limit: 20) {
  rows { id total stamp customer { name } items(orderBy: [{ id: ASC }]) { sku quantity } }
}`
const LIVE = `subscription ($id: Int!) { ${FIELDS} }`
const ASKED = `query ($id: Int!) { ${FIELDS} }`
const CHANGES = 'subscription { ordersChanged { operation } }'

/** Clients that keep the results of queries 1 to `count` up to date until they are stopped. */
type Way = (world: World, count: number) => Promise<() => Promise<void>>

interface World {
  readonly port: number
  /** Called with each result, as text. */
  readonly onResult: (id: number, text: string) => void
}

interface Measured {
  readonly reads: number
  readonly results: number
  readonly database: number
  readonly server: number
  readonly delays: readonly number[]
}

const database = await createBenchDatabase(values)
try {
  await database.query(`create table customers (id int primary key, name text not null)`)
  await database.query(
    `create table orders (id int primary key, customer_id int not null references customers, total int not null, stamp float8 not null)`,
  )
  await database.query('create index on orders (customer_id)')
  await database.query(
    `create table items (id int primary key, order_id int not null references orders, sku text not null, quantity int not null)`,
  )
  await database.query('create index on items (order_id)')
  await database.query(
    `insert into customers select i, 'customer ' || i from generate_series(1, ${CUSTOMERS}) i`,
  )
  await database.query(
    `insert into orders select i, 1 + i % ${CUSTOMERS}, i, 0 from generate_series(1, ${ORDERS}) i`,
  )
  await database.query(
    `insert into items select i, 1 + i % ${ORDERS}, 'sku ' || i % 100, 1 from generate_series(1, ${3 * ORDERS}) i`,
  )
  await database.query('analyze')
  for (const table of ['customers', 'orders', 'items'])
    await database.query('select listenql.watch($1)', [table])
  await database.query('select * from listenql.refresh()')

  const ways: readonly (readonly [string, Way])[] = [
    ['live queries', live],
    ['asked every second', polled],
    ['asked after each change', asked],
  ]
  const lines: string[][] = []
  for (const count of values.queries.split(',').map(Number)) {
    const found = new Map<string, Measured[]>(ways.map(([name]) => [name, []]))
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [name, way] of ways) {
        console.error(`${count} queries, round ${round + 1}, ${name}`)
        found.get(name)?.push(await measure(way, count))
      }
    for (const [name, all] of found) {
      const of = (pick: (one: Measured) => number) => median(all.map(pick))
      const delays = all.flatMap(one => one.delays)
      lines.push([
        String(count),
        name,
        of(one => one.reads).toFixed(0),
        of(one => one.results).toFixed(0),
        `${(100 * of(one => one.database)).toFixed(1)} %`,
        `${(100 * of(one => one.server)).toFixed(1)} %`,
        delays.length > 0 ? `${median(delays).toFixed(0)} ms` : 'none arrived',
        delays.length > 0 ? `${quantile(delays, 0.99).toFixed(0)} ms` : '',
      ])
    }
  }
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  console.log(`PostgreSQL ${database.version}`)
  console.log(
    `${RATE} updates/s of random orders of ${CUSTOMERS} customers, ${values.rounds} rounds of ${SECONDS} s\n`,
  )
  const names = [
    'queries',
    'way',
    'reads/s',
    'results/s',
    'core in Postgres',
    'core in the server',
    'commit to client p50',
    'p99',
  ]
  console.log(
    formatTable(
      names.map((name, i) => ({ name, align: i === 1 ? ('left' as const) : ('right' as const) })),
      lines,
    ),
  )
} finally {
  await database.close()
}

async function measure(way: Way, count: number): Promise<Measured> {
  const child = startChild<LiveMethods>('./live-child.ts', [database.url])
  try {
    const port = await child.call('port', null)
    const newest = new Map<number, number>()
    let delays: number[] = []
    let results = 0
    const stop = await way(
      {
        port,
        onResult(id, text) {
          results++
          let latest = 0
          for (const [, stamp] of text.matchAll(/"stamp":([\d.]+)/g)) latest = Math.max(latest, Number(stamp))
          if (latest > (newest.get(id) ?? 0)) {
            if (newest.has(id)) delays.push(Date.now() - latest)
            newest.set(id, latest)
          }
        },
      },
      count,
    )
    const writing = write(SECONDS + 1)
    await pause(1000)
    const before = await stateOf(child)
    delays = []
    results = 0
    await pause(SECONDS * 1000)
    const after = await stateOf(child)
    const measured = {
      reads: (after.reads - before.reads) / SECONDS,
      results: results / SECONDS,
      database: (after.database - before.database) / SECONDS,
      server: (after.cpu - before.cpu) / 1e6 / SECONDS,
      delays,
    }
    await writing
    await stop()
    return measured
  } finally {
    await child.close()
  }
}

async function stateOf(child: Child<LiveMethods>) {
  const rows = await database.query(
    `select pid from pg_stat_activity where application_name like 'listenql%' and datname = current_database()`,
  )
  const times = await Promise.all(rows.map(({ pid }) => processorTime(Number(pid)).catch(() => 0)))
  return { ...(await child.call('state', null)), database: times.reduce((sum, one) => sum + one, 0) }
}

async function write(seconds: number): Promise<void> {
  const began = performance.now()
  for (let i = 0; performance.now() - began < seconds * 1000; i++) {
    await database.query('update orders set total = total + 1, stamp = $2 where id = $1', [
      1 + Math.floor(Math.random() * ORDERS),
      Date.now(),
    ])
    const ahead = (i * 1000) / RATE - (performance.now() - began)
    if (ahead > 1) await pause(ahead)
  }
}

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

async function live({ port, onResult }: World, count: number) {
  const clients: Client[] = []
  for (let first = 1; first <= count; first += SHARE) {
    const client = connect(port)
    clients.push(client)
    const ids = Array.from({ length: Math.min(SHARE, count - first + 1) }, (_, i) => first + i)
    await Promise.all(
      ids.map(id => subscribe(client, LIVE, { id: 1 + (id % CUSTOMERS) }, text => onResult(id, text))),
    )
  }
  return async () => {
    for (const client of clients) await client.dispose()
  }
}

/** Each client begins at another moment of the second. */
async function polled({ port, onResult }: World, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const timers: NodeJS.Timeout[] = []
  for (let id = 1; id <= count; id++) {
    timers.push(
      setTimeout(
        () => {
          timers.push(setInterval(() => ask(port, agent, id, onResult).catch(() => undefined), 1000))
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
async function asked({ port, onResult }: World, count: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const client = connect(port)
  const asking = new Set<number>()
  let isOver = false
  const all = () => {
    for (let id = 1; id <= count && !isOver; id++) {
      if (asking.has(id)) continue
      asking.add(id)
      ask(port, agent, id, onResult)
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

function ask(port: number, agent: Agent, id: number, onResult: World['onResult']): Promise<void> {
  const body = JSON.stringify({ query: ASKED, variables: { id: 1 + (id % CUSTOMERS) } })
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
