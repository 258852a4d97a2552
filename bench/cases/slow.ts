import { type Bench, hasFiles, interleave } from '../lib/bench.js'
import { pause } from '../lib/clock.js'
import { middle, part, ratio, table, time, whole } from '../lib/columns.js'
import { measureSteady, untilAllHear } from '../lib/steady.js'
import { startTrial } from '../lib/trial.js'
import type { Variant } from '../lib/variants.js'
import { createWriter } from '../lib/writer.js'

/** Large enough to fill the kernel's socket buffers within seconds. */
const COPIES = 40
/** Less than the default, so that the server cuts off the subscriber that does not read during the measurement. */
const OPTIONS = { maxBuffer: 1024 * 1024, stallTimeout: 3000 }

/** Case 4: does a subscriber that never reads slow the others down? */
export async function slow(bench: Bench): Promise<void> {
  const rate = bench.rate ?? 100
  const seconds = Math.max(10, bench.seconds)
  const normal = bench.variants.find(({ letter }) => letter === 'a')
  if (!normal) return bench.print('slow is measured with variant a, which is not chosen.\n')
  const variants: readonly Variant[] = [
    { ...normal, letter: 'without', name: 'one that never reads' },
    { ...normal, letter: 'with', name: 'one that never reads' },
  ]
  for (const count of bench.sizes ?? [1000]) {
    if (!hasFiles(bench, count + 1)) continue
    const title = `slow, ${whole(count)} subscribers that read, ${rate} events/s for ${seconds} s`
    const writer = await createWriter(bench.database.url)
    const committed = () => writer.committed
    const results = await interleave(bench, title, variants, async ({ letter, ...variant }) => {
      const trial = await startTrial({ ...variant, letter }, bench.database.url, OPTIONS)
      try {
        await trial.connect({ count })
        await untilAllHear(trial, writer.notify)
        if (letter === 'with') await trial.connect({ group: 'deaf', count: 1, copies: COPIES, deaf: true })
        const result = await measureSteady(trial, { rate, seconds, write: writer.notify, committed })
        const { closed } = await trial.client.call('state', 'main')
        await trial.client.call('undeafen', null)
        await pause(1500)
        return { ...result, closed, cut: (await trial.client.call('state', 'deaf')).closed }
      } finally {
        await trial.close()
      }
    })
    await writer.close()
    const base = results.get(variants[0] as Variant)
    const lines = [...results].map(([{ letter, name }, rounds]) => [
      `${letter} ${name}`,
      time(middle(rounds, r => r.p50)),
      time(middle(rounds, r => r.p99)),
      ratio(rounds, base, r => r.p99),
      part(middle(rounds, r => r.kept)),
      whole(middle(rounds, r => r.closed)),
      whole(middle(rounds, r => r.cut)),
      part(middle(rounds, r => r.serverLoad)),
      part(middle(rounds, r => r.clientLoad)),
    ])
    const names = [
      'subscribers that read',
      'p50',
      'p99',
      'p99 of without',
      'kept up',
      'of them cut off',
      'of the others cut off',
    ]
    bench.print(`${title}:\n${table([...names, 'server', 'load client'], lines)}`)
  }
}
