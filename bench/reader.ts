/**
 * What reading the log costs Postgres: the processor time of the backends that read the log, and of the writer's backend, while one
 * writer commits one row after the other at a given rate and servers follow the table. Also how long a commit takes to reach the
 * first server, without the network between server and client.
 *
 *   npm run bench:reader -- [--rates 20,200,400] [--servers 1,10] [--seconds N] [--rounds N] [--url URL] [--directory DIR]
 *
 * Linux only. Rounds are interleaved; the output shows medians. With --url (a superuser's), it uses the database `listenql_bench` of that Postgres;
 * without, an embedded Postgres with its data under --directory (default: the folder for temporary files).
 */
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { formatTable } from '../src/lib/table.js'
import { createBenchDatabase } from './lib/database.js'
import { processorNanoseconds } from './lib/processor-time.js'
import { caughtUp, followTable } from './lib/readers.js'
import { median, quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '20,200,400' },
    servers: { type: 'string', default: '1,10' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})

interface Trial {
  /** In percent of one processor. */
  readonly writer: number
  readonly readers: number
  /** Batches of the ledger, each of which is a commit of a reader's. */
  readonly batches: number
  readonly latencies: readonly number[]
}

const numbers = (text: string) => text.split(',').map(Number)
const trials = numbers(values.servers).flatMap(servers =>
  numbers(values.rates).map(rate => ({ servers, rate, results: [] as Trial[] })),
)

const database = await createBenchDatabase(values)
try {
  await database.query('create table people (pk serial primary key, name text)')
  await database.query(`select listenql.watch('people')`)
  await database.query('select * from listenql.refresh()')
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const trial of trials) trial.results.push(await run(trial.servers, trial.rate))
  }
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  console.log(`PostgreSQL ${database.version}`)
  console.log(
    `${values.rounds} rounds of ${values.seconds} s; medians; processor time in percent of one core\n`,
  )
  const of = (results: readonly Trial[], pick: (trial: Trial) => number) => median(results.map(pick))
  console.log(
    formatTable(
      [
        ...['servers', 'commits/s', 'writer', 'readers', 'readers to writer', 'batches/s'],
        ...['commit to server p50', 'p99'],
      ].map(name => ({ name, align: 'right' as const })),
      trials.map(({ servers, rate, results }) => [
        String(servers),
        String(rate),
        `${of(results, ({ writer }) => writer).toFixed(1)} %`,
        `${of(results, ({ readers }) => readers).toFixed(1)} %`,
        of(results, ({ readers, writer }) => readers / writer).toFixed(2),
        of(results, ({ batches }) => batches / Number(values.seconds)).toFixed(0),
        ...[0.5, 0.99].map(
          q => `${of(results, ({ latencies }) => quantile([...latencies], q)).toFixed(1)} ms`,
        ),
      ]),
    ),
  )
} finally {
  await database.close()
}

async function run(servers: number, rate: number): Promise<Trial> {
  const [table] = await database.query(`select 'people'::regclass::oid::text as relid`)
  const received = new Map<string, number>()
  const readers = await Promise.all(
    Array.from({ length: servers }, (_, i) =>
      followTable(database.url, String(table?.relid), row => {
        if (i === 0) received.set(String(row.name), performance.now())
      }),
    ),
  )
  const writer = new pg.Client({ connectionString: database.url, application_name: 'writer' })
  await writer.connect()
  const insert = (name: string) =>
    writer.query({ name: 'insert', text: 'insert into people (name) values ($1)', values: [name] })
  const commits = Math.round(rate * Number(values.seconds))
  const committed = new Map<string, number>()
  try {
    for (let i = 0; i < 20; i++) await insert('warm')
    await Promise.all(readers.map(reader => caughtUp(reader, 20)))
    const pids = (application: string) =>
      database
        .query(
          'select pid from pg_stat_activity where application_name = $1 and datname = current_database()',
          [application],
        )
        .then(rows => rows.map(({ pid }) => Number(pid)))
    const [ofWriter, ofReaders] = [await pids('writer'), await pids('listenql log')]
    const [before] = await database.query('select max(n) as n from listenql.batch')
    const used = async () => [await sum(ofWriter), await sum(ofReaders)] as const
    const began = performance.now()
    const from = await used()
    for (let i = 0; i < commits; i++) {
      const due = began + (i * 1000) / rate - performance.now()
      if (due > 0) await new Promise(resolve => setTimeout(resolve, due))
      const name = `row ${i}`
      await insert(name)
      committed.set(name, performance.now())
    }
    const seconds = (performance.now() - began) / 1000
    const to = await used()
    await Promise.all(readers.map(reader => caughtUp(reader, 20 + commits)))
    const [after] = await database.query('select max(n) as n from listenql.batch')
    const percent = (i: 0 | 1) => ((to[i] - from[i]) / 1e9 / seconds) * 100
    return {
      writer: percent(0),
      readers: percent(1),
      batches: Number(after?.n) - Number(before?.n),
      // An event may arrive before the writer has its answer.
      latencies: [...committed].map(([name, at]) => Math.max(0, (received.get(name) ?? Number.NaN) - at)),
    }
  } finally {
    await writer.end()
    await Promise.all(readers.map(reader => reader.close()))
  }
}

async function sum(pids: readonly number[]): Promise<number> {
  const times = await Promise.all(pids.map(processorNanoseconds))
  return times.reduce((total, time) => total + time, 0)
}
