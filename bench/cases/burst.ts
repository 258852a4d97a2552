import { type Bench, interleave } from '../lib/bench.js'
import { now, pause } from '../lib/clock.js'
import { middle, ratio, short, table, time, whole } from '../lib/columns.js'
import { makeFeed } from '../lib/feed.js'
import { DIGITS, digits, PAYLOAD } from '../lib/payload.js'
import { settle, untilAllHear } from '../lib/steady.js'
import { between, MAIN, read, startTrial } from '../lib/trial.js'
import { TABLE, type Variant } from '../lib/variants.js'
import { createWriter } from '../lib/writer.js'

interface Burst {
  /** From sending the INSERT to the last row at the last subscriber, in ms. */
  readonly last: number
  /** From the answer to the INSERT, in ms. */
  readonly afterCommit: number
  readonly perSecond: number
  readonly cpuPerEvent: number
  readonly clientLoad: number
}

/** Longest wait for a burst, in ms. */
const DEADLINE = 60_000

/** Case 3: one INSERT of many rows. For channel variants, the article's trigger notifies once per row. */
export async function burst(bench: Bench): Promise<void> {
  for (const count of bench.sizes ?? [100]) {
    for (const rows of bench.rows ? [bench.rows] : [5000, 10_000]) {
      // The tutorial needs half a minute for 5,000 rows.
      const variants = bench.variants.filter(({ server }) => rows <= 5000 || server !== 'tutorial')
      const title = `burst, one INSERT of ${whole(rows)} rows to ${count} subscribers`
      const results = await interleave(bench, title, variants, variant => run(bench, variant, count, rows))
      const of = (letter: string) => [...results].find(([variant]) => variant.letter === letter)?.[1]
      const lines = [...results].map(([{ letter, name, transport }, rounds]) => [
        `${letter} ${name}`,
        time(middle(rounds, r => r.last)),
        ratio(of(transport === 'sse' ? 'e' : 'd') ?? [], rounds, r => r.last),
        time(middle(rounds, r => r.afterCommit)),
        whole(middle(rounds, r => r.perSecond)),
        short(middle(rounds, r => r.cpuPerEvent)),
        `${Math.round(100 * middle(rounds, r => r.clientLoad))} %`,
      ])
      const names = ['variant', 'last row after', 'times sooner than the tutorial', 'after the commit']
      bench.print(
        `${title}:\n${table([...names, 'rows/s to each', 'µs CPU an event', 'load client'], lines)}`,
      )
    }
  }
}

async function run({ database }: Bench, variant: Variant, count: number, rows: number): Promise<Burst> {
  const isChannel = variant.source === 'channel'
  await makeFeed(database, { watched: !isChannel, notifies: isChannel })
  const trial = await startTrial(variant, database.url)
  const writer = await createWriter(database.url)
  try {
    await trial.connect({ count, stride: 61 })
    await untilAllHear(trial, writer.insert)
    for (let i = 0; i < 200; i++) await writer.insert() // warms up: V8 has compiled the code afterwards
    const { leastCount } = await settle(trial)
    await pause(500) // lets the server fall asleep, as it is before most bursts
    const start = await read(trial)
    const all = trial.client.call(
      'reach',
      { group: MAIN, events: leastCount + rows, timeout: DEADLINE },
      { timeout: DEADLINE + 5000 },
    )
    const begun = now()
    await database.query(
      `insert into ${TABLE} (text) select rpad('^' || $1 || lpad(g::text, 10, 'x'), $2, 'x') from generate_series(1, $3) g`,
      [digits(begun).padStart(DIGITS, '0'), PAYLOAD, rows],
    )
    const committed = now()
    const { isAll, at } = await all
    const end = await read(trial)
    if (!isAll) {
      const part = (end.client.count - start.client.count) / (rows * count)
      throw new Error(`only ${Math.round(part * 100)} % delivered after ${DEADLINE / 1000} s`)
    }
    const { cpuPerEvent, clientLoad } = between(start, end)
    return {
      last: (at - begun) / 1000,
      afterCommit: Math.max(0, at - committed) / 1000,
      perSecond: (rows / (at - begun)) * 1e6,
      cpuPerEvent,
      clientLoad,
    }
  } finally {
    await trial.close()
    await writer.close()
  }
}
