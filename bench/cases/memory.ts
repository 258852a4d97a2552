import { type Bench, hasFiles, interleave } from '../lib/bench.js'
import { pause } from '../lib/clock.js'
import { middle, ratio, short, table, whole } from '../lib/columns.js'
import { makeFeed } from '../lib/feed.js'
import { untilAllHear } from '../lib/steady.js'
import { startTrial } from '../lib/trial.js'
import { createWriter } from '../lib/writer.js'

/** In ms; short, so that each subscriber has received several keep-alives. Yoga's SSE keep-alive is fixed at 12 s. */
const KEEP_ALIVE = 1500

/** Resident memory of an idle subscription, keep-alive included. */
export async function memory(bench: Bench): Promise<void> {
  await makeFeed(bench.database, { watched: true, notifies: false })
  const writer = await createWriter(bench.database.url)
  for (const count of bench.sizes ?? [4000]) {
    if (!hasFiles(bench, count + 500)) continue
    const title = `memory, ${whole(count)} idle subscribers`
    const results = await interleave(bench, title, bench.variants, async variant => {
      const trial = await startTrial(variant, bench.database.url, { keepAlive: KEEP_ALIVE })
      const resident = async () => {
        await pause(2.5 * KEEP_ALIVE)
        await trial.server.call('collect', null)
        return (await trial.server.call('usage', null)).rss
      }
      try {
        // The first subscribers also pay for compiled code and shared buffers, so they are not counted.
        await trial.connect({ count: 500 })
        await untilAllHear(trial, variant.source === 'table' ? writer.insert : writer.notify)
        const before = await resident()
        await trial.connect({ count, concurrency: 16 })
        const after = await resident()
        return (after - before) / count / 1000
      } finally {
        await trial.close()
      }
    })
    const of = (letter: string) => [...results].find(([variant]) => variant.letter === letter)?.[1]
    const lines = [...results].map(([{ letter, name, transport }, rounds]) => [
      `${letter} ${name}`,
      short(middle(rounds, kB => kB)),
      ratio(rounds, of(transport === 'sse' ? 'e' : 'd'), kB => kB),
    ])
    bench.print(`${title}:\n${table(['variant', 'kB resident each', 'of the tutorial'], lines)}`)
  }
  await writer.close()
}
