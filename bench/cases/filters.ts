import { type Bench, hasFiles, interleave } from '../lib/bench.js'
import { middle, part, short, table, time, whole } from '../lib/columns.js'
import { makeFeed } from '../lib/feed.js'
import { median } from '../lib/statistics.js'
import { measureSteady, type SteadyResult } from '../lib/steady.js'
import { startTrial } from '../lib/trial.js'
import { createWriter } from '../lib/writer.js'

const QUERY =
  'subscription ($own: Int!) { feedChanged(where: { pk: { eq: $own } }) { operation row { pk text } } }'

/** Rows that each commit writes: enough that the events cost more than reading the log. */
const ROWS = 10

/** Case 2: each subscriber follows one row of its own; the writer updates random rows. */
export async function filters(bench: Bench): Promise<void> {
  const sizes = (bench.sizes ?? [100, 10_000]).filter(size => hasFiles(bench, size))
  const rate = bench.rate ?? 200
  const variants = bench.variants.filter(({ source }) => source === 'table')
  const results = new Map<number, Awaited<ReturnType<typeof runAll>>>()
  // The sizes run in turn within a round, as the variants do.
  for (let round = 0; round < bench.rounds; round++) {
    for (const size of sizes) {
      const found = await runAll({ ...bench, rounds: 1 }, size, rate, variants)
      const before = results.get(size)
      for (const [variant, rounds] of found) rounds.unshift(...(before?.get(variant) ?? []))
      results.set(size, found)
    }
  }
  const lines = variants.flatMap(variant =>
    sizes.map(size => {
      const rounds = results.get(size)?.get(variant) ?? []
      const least = results.get(sizes[0] as number)?.get(variant) ?? []
      const ratios = rounds.flatMap((r, i) => (r && least[i] ? [r.cpuPerEvent / least[i].cpuPerEvent] : []))
      return [
        `${variant.letter} ${variant.name}`,
        whole(size),
        short(middle(rounds, r => r.cpuPerEvent)),
        ratios.length > 0
          ? `${short(median(ratios))} (${short(Math.min(...ratios))}-${short(Math.max(...ratios))})`
          : '',
        part(middle(rounds, r => r.kept)),
        time(middle(rounds, r => r.p50)),
        time(middle(rounds, r => r.p99)),
        part(middle(rounds, r => r.serverLoad)),
        part(middle(rounds, r => r.clientLoad)),
      ]
    }),
  )
  const names = [
    'variant',
    'subscribers',
    'µs CPU an event',
    `of ${sizes[0]} subscribers`,
    'kept up',
    'p50',
    'p99',
  ]
  bench.print(
    `filters, each subscriber with its own where, ${rate} updates/s of ${ROWS} random rows each:\n${table([...names, 'server', 'load client'], lines)}`,
  )
}

function runAll(bench: Bench, size: number, rate: number, variants: Bench['variants']) {
  const title = `filters, ${whole(size)} subscribers`
  return interleave<SteadyResult>(bench, title, variants, async variant => {
    await makeFeed(bench.database, { watched: true, notifies: false, rows: size })
    const trial = await startTrial(variant, bench.database.url)
    const writer = await createWriter(bench.database.url)
    const committed = () => writer.committed
    try {
      await trial.connect({ count: size, query: QUERY, numbered: 'own', stride: 1 })
      const write = () => {
        const first = Math.floor(Math.random() * size)
        return writer.update(
          Array.from({ length: ROWS }, (_, i) => 1 + ((first + Math.floor((i * size) / ROWS)) % size)),
        )
      }
      const profile = bench.profile && `${bench.profile}/filters-${size}-${variant.letter}.cpuprofile`
      return await measureSteady(trial, {
        rate,
        seconds: bench.seconds,
        write,
        committed,
        share: ROWS / size,
        profile,
      })
    } finally {
      await trial.close()
      await writer.close()
    }
  })
}
