/**
 * What capture costs writers: commits per second into a table without triggers, into one with the trigger of pg_eventserv's article
 * and a connection that listens, and into a watched one, where the server's reader receives every row.
 *
 *   npx tsx bench/writers.ts [--seconds N] [--rounds N] [--writers 1,16,64] [--url URL] [--directory DIR]
 *
 * Rounds are interleaved: each runs all variants one after the other, and the ratio to the table without triggers is computed within
 * a round; the output shows medians of these ratios. With --url (a superuser's), it uses the database `listenql_bench` of that
 * Postgres; without, an embedded Postgres with its data under --directory (default: the folder for temporary files).
 */
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/lib/table.js'
import { type BenchDatabase, createBenchDatabase } from './lib/database.js'
import { findLoad, type Load, WRITERS } from './lib/load.js'
import { caughtUp, followTable, listen, type Reader } from './lib/readers.js'
import { median, percent } from './lib/statistics.js'

interface Variant {
  readonly name: string
  readonly table: string
  open?(): Promise<Reader>
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    writers: { type: 'string', default: '1,16,64' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const rounds = Number(values.rounds)
const writerCounts = values.writers.split(',').map(Number)

const TABLE = 'pk serial primary key, ts timestamptz default now(), name text, age integer, height real'
const ARTICLE = `
  create function data_change() returns trigger as $$
    declare js jsonb;
    begin
      select to_jsonb(new.*) into js;
      js := jsonb_set(js, '{dml_action}', to_jsonb(tg_op));
      js := jsonb_set(js, '{dml_table}', to_jsonb(tg_table_name));
      perform (select pg_notify('people', js::text));
      return new;
    end $$ language plpgsql;
  create trigger data_change_trigger before insert or update on article for each row execute function data_change()`

const database = await createBenchDatabase(values)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Otherwise the embedded Postgres would keep running. Unfinished work fails with an error, which does no harm.
  process.once(signal, () => void database.close().finally(() => process.exit(1)))
}
try {
  const load = await findLoad()
  for (const table of ['bare', 'article', 'watched']) await database.query(`create table ${table} (${TABLE})`)
  await database.query(ARTICLE)
  await database.query(`select listenql.watch('watched')`)
  await database.query('select * from listenql.refresh()')
  const [row] = await database.query(`select 'watched'::regclass::oid::text as relid`)
  const variants: readonly Variant[] = [
    { name: 'no trigger', table: 'bare' },
    { name: "article's trigger", table: 'article', open: () => listen(database.url, 'people') },
    { name: 'watched', table: 'watched', open: () => followTable(database.url, String(row?.relid)) },
  ]
  const cpu = cpus()
  console.log(`PostgreSQL ${database.version}`)
  console.log(
    `${cpu.length} x ${cpu[0]?.model.trim()}, Linux ${release()}, Node ${process.version}, load: ${load.name}`,
  )
  console.log(
    `${rounds} rounds of ${seconds} s for each variant; ratios to no trigger: median (least-greatest)\n`,
  )

  console.log(`Commits per second, one INSERT of one row each, every row delivered:`)
  await commits(load, variants)
  // The leader of a group commit sleeps that long before it flushes; siblings 0 makes it sleep however few sessions wait.
  await database.query('alter database listenql_bench set commit_delay = 1000')
  await database.query('alter database listenql_bench set commit_siblings = 0')
  console.log(
    `The same where a flush takes 1 ms longer (commit_delay = 1000, commit_siblings = 0, for all sessions):`,
  )
  await commits(load, variants)
  await database.query('alter database listenql_bench reset commit_delay')
  await database.query('alter database listenql_bench reset commit_siblings')
  console.log(`Time of one INSERT of 10,000 rows:`)
  await bulk(variants)
} finally {
  await database.close()
}

async function commits(load: Load, variants: readonly Variant[]): Promise<void> {
  const rows: string[][] = []
  for (const writers of writerCounts) {
    const runs: { name: string; perSecond: number; ratio: number; behind: number }[] = []
    for (let round = 0; round < rounds; round++) {
      await clear(database)
      let base: number | undefined
      for (const variant of variants) {
        const reader = await variant.open?.()
        try {
          const statement = `insert into ${variant.table} (name, age, height) values ('Paul', 51, 1.9)`
          const result = await load.run({ url: database.url, statement, writers, seconds })
          const behind = reader ? await caughtUp(reader, await count(variant.table)) : 0
          base ??= result.perSecond
          runs.push({
            name: variant.name,
            perSecond: result.perSecond,
            ratio: result.perSecond / base,
            behind,
          })
        } finally {
          await reader?.close()
        }
      }
    }
    for (const { name, open } of variants) {
      const own = runs.filter(run => run.name === name)
      rows.push([
        String(writers),
        name,
        median(own.map(run => run.perSecond)).toFixed(0),
        percent(own.map(run => run.ratio)),
        open ? `${median(own.map(run => run.behind)).toFixed(0)} ms` : '',
      ])
    }
  }
  console.log(
    formatTable(
      [
        { name: 'writers', align: 'right' },
        { name: 'table', align: 'left' },
        { name: 'commits/s', align: 'right' },
        { name: 'of no trigger', align: 'left' },
        { name: 'last row delivered after', align: 'right' },
      ],
      rows,
    ),
  )
}

async function bulk(variants: readonly Variant[]): Promise<void> {
  const times = new Map<string, { ms: number; ratio: number }[]>(variants.map(({ name }) => [name, []]))
  for (let round = 0; round < 3 * rounds; round++) {
    await clear(database)
    let base: number | undefined
    for (const variant of variants) {
      const reader = await variant.open?.()
      try {
        const start = performance.now()
        await database.query(
          `insert into ${variant.table} (name, age, height) select 'Paul ' || g, g % 90, 1.9 from generate_series(1, 10000) g`,
        )
        const ms = performance.now() - start
        base ??= ms
        times.get(variant.name)?.push({ ms, ratio: ms / base })
        if (reader) await caughtUp(reader, 10_000)
      } finally {
        await reader?.close()
      }
    }
  }
  console.log(
    formatTable(
      [
        { name: 'table', align: 'left' },
        { name: 'ms', align: 'right' },
        { name: 'of no trigger', align: 'left' },
      ],
      [...times].map(([name, runs]) => [
        name,
        median(runs.map(run => run.ms)).toFixed(0),
        percent(runs.map(run => run.ratio)),
      ]),
    ),
  )
}

/** Counts the rows of a table once all writers have disconnected: the last commits came after the load had stopped counting. */
async function count(table: string): Promise<number> {
  const others = `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name = $1`
  for (let n = 1; n > 0; ) {
    const [row] = await database.query(others, [WRITERS])
    n = Number(row?.n)
  }
  const [row] = await database.query(`select count(*)::int as n from ${table}`)
  return Number(row?.n)
}

/** Gives each round the same start: empty tables, an empty log, no checkpoint due in the middle. */
async function clear(of: BenchDatabase): Promise<void> {
  await of.query('truncate bare, article, watched, listenql.event')
  await of.query('vacuum')
  await of.query('checkpoint')
}
