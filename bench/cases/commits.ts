import { type Bench, hasFiles, interleave } from '../lib/bench.js'
import { middle, part, ratio, short, table, time, whole } from '../lib/columns.js'
import { makeFeed } from '../lib/feed.js'
import { measureSteady, untilAllHear } from '../lib/steady.js'
import { startTrial } from '../lib/trial.js'
import { createWriter } from '../lib/writer.js'

/** Shortest measurement, in seconds: an overloaded server executes for seconds before it sends anything. */
const LEAST = 10

/** Case 6: single-row commits to many subscribers, at a rate far beyond what the tutorial can deliver. */
export async function commits(bench: Bench): Promise<void> {
  const rate = bench.rate ?? 400
  for (const count of bench.sizes ?? [1000]) {
    if (!hasFiles(bench, count)) continue
    const title = `commits, ${rate} single-row commits/s to ${whole(count)} subscribers`
    const results = await interleave(bench, title, bench.variants, async variant => {
      await makeFeed(bench.database, {
        watched: variant.source === 'table',
        notifies: variant.source === 'channel',
      })
      const trial = await startTrial(variant, bench.database.url)
      const writer = await createWriter(bench.database.url, 16)
      const committed = () => writer.committed
      try {
        await trial.connect({ count, stride: 61 })
        await untilAllHear(trial, writer.insert)
        const profile = bench.profile && `${bench.profile}/commits-${count}-${variant.letter}.cpuprofile`
        return await measureSteady(trial, {
          rate,
          seconds: Math.max(LEAST, bench.seconds),
          write: writer.insert,
          committed,
          lead: 1,
          profile,
        })
      } finally {
        await trial.close()
        await writer.close()
      }
    })
    const of = (letter: string) => [...results].find(([variant]) => variant.letter === letter)?.[1]
    const rows = [...results].map(([{ letter, name, transport }, rounds]) => [
      `${letter} ${name}`,
      whole(middle(rounds, r => r.commits)),
      whole(middle(rounds, r => r.perSecond)),
      part(middle(rounds, r => r.kept)),
      ratio(rounds, of(transport === 'sse' ? 'e' : 'd'), r => r.perSecond),
      time(middle(rounds, r => r.p50)),
      time(middle(rounds, r => r.p99)),
      short(middle(rounds, r => r.cpuPerEvent)),
      part(middle(rounds, r => r.serverLoad)),
      part(middle(rounds, r => r.clientLoad)),
    ])
    const names = [
      'variant',
      'commits/s',
      'delivered/s',
      'kept up',
      'times the tutorial',
      'p50',
      'p99',
      'µs CPU an event',
    ]
    bench.print(`${title}:\n${table([...names, 'server', 'load client'], rows)}`)
  }
}
