import { type Bench, hasFiles } from '../lib/bench.js'
import { now, pause } from '../lib/clock.js'
import { middle, part, short, table, time, whole } from '../lib/columns.js'
import type { BenchDatabase } from '../lib/database.js'
import { makeFeed } from '../lib/feed.js'
import { PAYLOAD } from '../lib/payload.js'
import { untilAllHear } from '../lib/steady.js'
import { startTrial, type Trial } from '../lib/trial.js'
import { usageOf } from '../lib/usage.js'
import { TABLE, type Variant } from '../lib/variants.js'
import { createWriter, paced } from '../lib/writer.js'

const QUERY = 'subscription ($after: String) { feedChanged(after: $after) { row { pk text } } }'
/** Deadline for the whole case, in ms. */
const DEADLINE = 150_000
/** Number of live subscribers in addition to the resuming ones, and the events per second that all of them get. */
const LIVE = 100
const RATE = 20

interface Resumed {
  /** Time until every subscriber that was not closed had every event, in ms. */
  readonly last: number
  /** Number of subscribers that had every event, and of those that the server closed or did not accept in time. */
  readonly complete: number
  readonly closed: number
  readonly perSecond: number
  readonly cpuPerEvent: number
  readonly peak: number
  readonly quietP99: number
  readonly p50: number
  readonly p99: number
  readonly reads: number
  readonly serverLoad: number
  readonly clientLoad: number
}

/** Case 5: after a deploy all clients resume at once, and each has missed many events. */
export async function resume(bench: Bench): Promise<void> {
  const rows = bench.rows ?? 10_000
  const variants = bench.variants.filter(({ source }) => source === 'table')
  for (const count of bench.sizes ?? [1000]) {
    if (!hasFiles(bench, count + LIVE)) continue
    const title = `resume, ${whole(count)} subscribers come back for ${whole(rows)} events each, ${LIVE} live ones`
    const results = new Map<Variant, Resumed[]>(variants.map(variant => [variant, []]))
    for (let round = 0; round < bench.rounds; round++) {
      for (const variant of variants) {
        bench.progress(`${title}: round ${round + 1} of ${bench.rounds}, ${variant.name}`)
        try {
          results.get(variant)?.push(await run(bench, variant, count, rows))
        } catch (error) {
          bench.print(
            `${title}, ${variant.name}: no figure, ${error instanceof Error ? error.message : error}\n`,
          )
        }
      }
    }
    const lines = [...results].map(([{ letter, name }, rounds]) => [
      `${letter} ${name}`,
      time(middle(rounds, r => r.last)),
      whole(middle(rounds, r => r.complete)),
      whole(middle(rounds, r => r.closed)),
      whole(middle(rounds, r => r.perSecond)),
      short(middle(rounds, r => r.cpuPerEvent)),
      `${whole(middle(rounds, r => r.peak))} MB`,
      short(middle(rounds, r => r.reads)),
      time(middle(rounds, r => r.quietP99)),
      time(middle(rounds, r => r.p50)),
      time(middle(rounds, r => r.p99)),
      part(middle(rounds, r => r.serverLoad)),
      part(middle(rounds, r => r.clientLoad)),
    ])
    const names = [
      'variant',
      'done after',
      'have all',
      'closed or refused',
      'events/s',
      'µs CPU an event',
      'memory more, at most',
    ]
    const live = ['log read, times', 'live p99 before', 'live p50 meanwhile', 'live p99 meanwhile']
    bench.print(`${title}:\n${table([...names, ...live, 'server', 'load client'], lines)}`)
  }
}

async function run(bench: Bench, variant: Variant, count: number, rows: number): Promise<Resumed> {
  const { database } = bench
  await makeFeed(database, { watched: true, notifies: false })
  const trial = await startTrial(variant, database.url)
  const writer = await createWriter(database.url)
  try {
    await trial.connect({ count: LIVE, query: QUERY, stride: 1 })
    await untilAllHear(trial, writer.insert)
    const after = await newestCursor(trial)
    await database.query(
      `insert into ${TABLE} (text) select rpad('^', $1, '0') from generate_series(1, $2)`,
      [PAYLOAD, rows],
    )
    await pause(3000)
    await trial.client.call('mark', 'main')
    await paced(RATE, 3, writer.insert)
    const quiet = await trial.client.call('state', 'main')

    const readBefore = await rowsRead(database)
    const before = await usageOf(trial.server)
    const clientBefore = await trial.client.call('state', 'main')
    await trial.client.call('mark', 'main')
    let peak = before.rss
    let isOver = false
    const watching = (async () => {
      while (!isOver) {
        peak = Math.max(peak, (await usageOf(trial.server)).rss)
        await pause(200)
      }
    })()
    const living = (async () => {
      while (!isOver) await paced(RATE, 0.5, writer.insert)
    })()
    const profile = bench.profile && `${bench.profile}/resume-${count}-${variant.letter}.cpuprofile`
    if (profile) await trial.server.call('startProfile', null)
    const begun = now()
    let last = Number.NaN
    let complete = 0
    try {
      await trial.connect({
        group: 'back',
        count,
        query: QUERY,
        variables: { after },
        concurrency: count,
        stride: 1e9,
        tolerant: true,
        patience: DEADLINE,
      })
      const timeout = Math.max(1000, DEADLINE - (now() - begun) / 1000)
      const { reached, at } = await trial.client.call(
        'reach',
        { group: 'back', events: rows, timeout },
        { timeout: timeout + 5000 },
      )
      last = (at - begun) / 1000
      complete = reached
    } finally {
      isOver = true
      await Promise.allSettled([watching, living])
    }
    if (profile) await trial.server.call('stopProfile', profile)
    const server = await usageOf(trial.server)
    const live = await trial.client.call('state', 'main')
    const back = await trial.client.call('state', 'back')
    const cpu = server.cpu - before.cpu
    return {
      last,
      complete,
      closed: back.closed,
      perSecond: (back.count / last) * 1000,
      cpuPerEvent: cpu / back.count,
      peak: (peak - before.rss) / 1e6,
      quietP99: quiet.p99,
      p50: live.p50,
      p99: live.p99,
      reads: ((await rowsRead(database)) - readBefore) / rows,
      serverLoad: cpu / (server.at - before.at),
      clientLoad: (live.cpu - clientBefore.cpu) / (live.at - clientBefore.at),
    }
  } finally {
    await trial.close()
    await writer.close()
  }
}

async function newestCursor({ port }: Trial): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ feed(limit: 1) { cursor } }' }),
  })
  const { data } = (await answer.json()) as { data: { feed: { cursor: string } } }
  return data.feed.cursor
}

/** Rows of the event log that have been read so far, by any kind of scan. */
async function rowsRead({ query }: BenchDatabase): Promise<number> {
  await pause(1200) // a backend reports its statistics once a second
  const [row] = await query(`
    select sum(coalesce(seq_tup_read, 0) + coalesce((
             select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0))::float8 as n
      from pg_stat_user_tables t
     where schemaname = 'listenql' and relid in (
             select inhrelid from pg_inherits where inhparent = 'listenql.event'::regclass)`)
  return Number(row?.n)
}
