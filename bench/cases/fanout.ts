import { type Bench, hasFiles, interleave } from '../lib/bench.js'
import { middle, part, ratio, short, table, time, whole } from '../lib/columns.js'
import { measureSteady, type SteadyResult, untilAllHear } from '../lib/steady.js'
import { startTrial } from '../lib/trial.js'
import type { Variant } from '../lib/variants.js'
import { createWriter } from '../lib/writer.js'

/** Events per second by number of subscribers. At 1,000, the slowest variant just keeps up; the other sizes get as many deliveries per second. */
const RATES: ReadonlyMap<number, number> = new Map([
  [1, 200],
  [100, 50],
  [1000, 20],
  [5000, 4],
])

/** Case 1: every NOTIFY goes to N identical subscribers. */
export async function fanout(bench: Bench): Promise<void> {
  const writer = await createWriter(bench.database.url)
  const committed = () => writer.committed
  try {
    for (const count of bench.sizes ?? [...RATES.keys()]) {
      if (!hasFiles(bench, count)) continue
      const rate = bench.rate ?? RATES.get(count) ?? Math.max(2, Math.round(20_000 / count))
      const title = `fanout, ${whole(count)} identical subscribers, ${rate} events/s`
      const variants = bench.variants.filter(({ source }) => source === 'channel')
      const results = await interleave(bench, title, variants, async variant => {
        const trial = await startTrial(variant, bench.database.url)
        try {
          await trial.connect({ count, stride: count === 1 ? 1 : 16 })
          await untilAllHear(trial, writer.notify)
          const profile = bench.profile && `${bench.profile}/fanout-${count}-${variant.letter}.cpuprofile`
          return await measureSteady(trial, {
            rate,
            seconds: bench.seconds,
            write: writer.notify,
            committed,
            profile,
          })
        } finally {
          await trial.close()
        }
      })
      bench.print(`${title}:\n${report(results)}`)
    }
  } finally {
    await writer.close()
  }
}

function report(results: ReadonlyMap<Variant, (SteadyResult | undefined)[]>): string {
  const of = (letter: string) => [...results].find(([variant]) => variant.letter === letter)?.[1]
  return table(
    [
      'variant',
      'µs CPU an event',
      'of the floor',
      'of the tutorial',
      'delivered/s',
      'kept up',
      'p50',
      'p50 of the tutorial',
      'p99',
      'server',
      'load client',
    ],
    [...results].map(([{ letter, name, transport }, rounds]) => {
      const tutorial = of(transport === 'sse' ? 'e' : 'd')
      return [
        `${letter} ${name}`,
        short(middle(rounds, r => r.cpuPerEvent)),
        ratio(rounds, of('f'), r => r.cpuPerEvent),
        ratio(rounds, tutorial, r => r.cpuPerEvent),
        whole(middle(rounds, r => r.perSecond)),
        part(middle(rounds, r => r.kept)),
        time(middle(rounds, r => r.p50)),
        ratio(rounds, tutorial, r => r.p50),
        time(middle(rounds, r => r.p99)),
        part(middle(rounds, r => r.serverLoad)),
        part(middle(rounds, r => r.clientLoad)),
      ]
    }),
  )
}
