/**
 * What live queries cost: clients with different nested queries watch their orders while a writer updates random rows. Three ways run
 * in turn within a round: live queries; the same queries asked every second; and the same queries asked again after each change of
 * the tables. The table shows reads per second, the processor time of the server's sessions in Postgres and of the server's process, and
 * the time from a commit to the client. The clients are in the process of the benchmark and use real sockets.
 *
 *   npx tsx bench/live.ts [--queries N,N] [--ways live,polled,asked] [--customers N] [--identical] [--rate N] [--seconds N]
 *     [--rounds N] [--profile DIR] [--url URL] [--directory DIR]
 *
 *   --customers N   each of the N customers has five orders, and one query; the fewer of them are watched, the fewer updates matter
 *   --identical     all clients have one query, whose result every update changes
 *   --profile DIR   writes CPU profiles of the servers to DIR and prints their top functions; profiling costs time
 */
import { mkdirSync, readdirSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/lib/table.js'
import { type Child, startChild } from './lib/child.js'
import { pause } from './lib/clock.js'
import { createBenchDatabase } from './lib/database.js'
import type { LiveMethods } from './lib/live-child.js'
import { differentQueries, identicalQueries, WAYS, type Way } from './lib/live-clients.js'
import { processorTime } from './lib/processor-time.js'
import { topFunctions } from './lib/profile.js'
import { median, quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    queries: { type: 'string', default: '1,100,1000' },
    ways: { type: 'string', default: Object.keys(WAYS).join(',') },
    customers: { type: 'string', default: '1000' },
    identical: { type: 'boolean', default: false },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
    profile: { type: 'string' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const RATE = Number(values.rate)
const SECONDS = Number(values.seconds)
const CUSTOMERS = Number(values.customers)
const ORDERS = 5 * CUSTOMERS
const { profile } = values
if (profile) mkdirSync(profile, { recursive: true })

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
  if (values.identical) await database.query('create index on orders (stamp desc nulls first, id)')
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

  const ways = values.ways.split(',').map(name => {
    const way = WAYS[name]
    if (!way) throw new Error(`no way ${name}; there are ${Object.keys(WAYS).join(', ')}`)
    return way
  })
  const lines: string[][] = []
  for (const count of values.queries.split(',').map(Number)) {
    const found = new Map<string, Measured[]>(ways.map(({ title }) => [title, []]))
    for (let round = 0; round < Number(values.rounds); round++)
      for (const way of ways) {
        console.error(`${count} queries, round ${round + 1}, ${way.title}`)
        found.get(way.title)?.push(await measure(way, count))
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
    `${RATE} updates/s of random orders of ${CUSTOMERS} customers, ${values.rounds} rounds of ${SECONDS} s${values.identical ? ', identical queries' : ''}\n`,
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
  for (const file of profile ? readdirSync(profile) : [])
    console.log(`${file}:\n${await topFunctions(join(profile ?? '', file))}`)
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
    const stop = await way.start(
      {
        port,
        query: values.identical ? identicalQueries : differentQueries(CUSTOMERS),
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
    if (profile) await child.call('startProfile', null)
    const before = await stateOf(child)
    delays = []
    results = 0
    await pause(SECONDS * 1000)
    const after = await stateOf(child)
    if (profile) await child.call('stopProfile', join(profile, `${count}-${Date.now()}.cpuprofile`))
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
