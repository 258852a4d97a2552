/**
 * How long `listenql watch --all` takes for many tables in a database with schema `listenql`, the same again, and `unwatch --all`.
 *
 *   npx tsx bench/watch-many.ts [--tables N] [--rounds N] [--url URL] [--directory DIR]
 *
 * Each table has six columns, a primary key and a foreign key with an index. The table shows the median and the fastest of the rounds. With --url (a
 * superuser's), it uses the database `listenql_bench` of that Postgres; without, an embedded Postgres with its data under --directory
 * (default: the folder for temporary files).
 */
import { cpus, loadavg, release } from 'node:os'
import { PassThrough, Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { unwatchCommand } from '../src/commands/unwatch.js'
import { watchCommand } from '../src/commands/watch.js'
import { formatTable } from '../src/lib/table.js'
import { connectionOptions } from '../src/postgres/conninfo.js'
import { createBenchDatabase } from './lib/database.js'
import { median } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    tables: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const tables = Number(values.tables)
const PATIENCE_MS = 60_000
/** Streams of a command whose output nothing reads. */
const quiet = { stdin: new PassThrough(), stdout: silent(), stderr: silent() }

const database = await createBenchDatabase(values)
try {
  console.log(`${cpus().length} × ${cpus()[0]?.model}, Linux ${release()}, Node ${process.version}`)
  console.log(`Postgres ${database.version}, load ${loadavg()[0]?.toFixed(1)}`)
  for (let i = 0; i < tables; i++) {
    await database.query(`create table t${i} (id int primary key, a text, b int, c timestamptz default now(),
      d jsonb, e int references t${Math.max(0, i - 1)}); create index on t${i} (e)`)
  }
  const target = { config: connectionOptions(database.url), serverLogin: undefined }
  const watch = () =>
    watchCommand(
      target,
      { tables: [], all: true, always: false, grantTo: undefined, patience: PATIENCE_MS },
      quiet,
    )
  const unwatch = () =>
    unwatchCommand(target, { tables: [], all: true, yes: true, patience: PATIENCE_MS }, quiet)
  const first: number[] = []
  const again: number[] = []
  const removed: number[] = []
  for (let round = 0; round < Number(values.rounds); round++) {
    first.push(await timed(watch))
    again.push(await timed(watch))
    removed.push(await timed(unwatch))
  }
  console.log(
    formatTable(
      [
        { name: `${tables} tables`, align: 'left' },
        { name: 'median', align: 'right' },
        { name: 'fastest', align: 'right' },
      ],
      [
        ['watch --all', ...seconds(first)],
        ['watch --all again', ...seconds(again)],
        ['unwatch --all', ...seconds(removed)],
      ],
    ),
  )
} finally {
  await database.close()
}

/** The output of commands, which nothing reads. */
function silent(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

async function timed(command: () => Promise<number>): Promise<number> {
  const began = performance.now()
  const code = await command()
  if (code !== 0) throw new Error(`the command ended with ${code}`)
  return performance.now() - began
}

/** The median and the least. */
function seconds(times: readonly number[]): readonly string[] {
  return [median(times), Math.min(...times)].map(ms => `${(ms / 1000).toFixed(1)} s`)
}
