/** `npm run bench`: what delivery costs, against the tutorial and the floor. `npm run bench -- --help` says more. */
import { mkdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { cpus, loadavg, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { burst } from './cases/burst.js'
import { commits } from './cases/commits.js'
import { fanout } from './cases/fanout.js'
import { filters } from './cases/filters.js'
import { memory } from './cases/memory.js'
import { resume } from './cases/resume.js'
import { slow } from './cases/slow.js'
import type { Bench } from './lib/bench.js'
import { createBenchDatabase } from './lib/database.js'
import { topFunctions } from './lib/profile.js'
import { VARIANTS, variantOf } from './lib/variants.js'

interface Case {
  readonly about: string
  run(bench: Bench): Promise<void>
}

const CASES: ReadonlyMap<string, Case> = new Map([
  ['fanout', { about: 'every event to 1, 100, 1,000, 5,000 identical subscribers', run: fanout }],
  ['filters', { about: '10,000 subscribers, each with its own row, against 100', run: filters }],
  ['burst', { about: 'one INSERT of 5,000 and of 10,000 rows to 100 subscribers', run: burst }],
  ['slow', { about: 'does one subscriber that never reads slow down 1,000 others?', run: slow }],
  ['resume', { about: '1,000 subscribers resume at once for 10,000 events each', run: resume }],
  ['commits', { about: '400 single-row commits a second to 1,000 subscribers', run: commits }],
  ['memory', { about: 'the memory of an idle subscription', run: memory }],
])

const HELP = `What delivery costs: listenql compared with the set-up in Yoga's documentation and with a bare ws broadcast.

  npm run bench                                     all cases, all variants; takes about an hour
  npm run bench -- fanout --seconds 3 --rounds 5    one case
  npm run bench -- commits --variants f,a,d --sizes 500 --rate 200

Cases:
${[...CASES].map(([name, { about }]) => `  ${name.padEnd(10)}${about}`).join('\n')}

Options:
  --rounds N         each round runs all variants one after the other; the tables show medians, and medians of the
                     ratios within a round with the least and the greatest (3)
  --seconds N        seconds of measuring, for each variant in each round (3)
  --variants LETTERS only these (all)
  --sizes N,N        numbers of subscribers (default: those of the case)
  --rate N           events per second (default: that of the case)
  --rows N           rows in a burst, or events to resume for (default: those of the case)
  --profile DIR      writes CPU profiles of the servers to this directory and prints their top functions; profiling
                     makes the measured figures higher
  --url URL          a Postgres in which the benchmark may create database listenql_bench, with a superuser's login
                     (default: an embedded Postgres)
  --directory DIR    data directory of the embedded Postgres (default: in the folder for temporary files)

Variants:
${VARIANTS.map(({ letter, name }) => `  ${letter.padEnd(10)}${name}`).join('\n')}

PostGraphile and the Node 22 that it needs are installed from npm into the folder for temporary files.

How to read the tables: the main figure is "µs CPU an event", the processor time of the whole server process for one event
delivered to one subscriber. "server" and "load client" are shares of one processor: if the load client is near 100 %, it was
the bottleneck. Ratios carry over from machine to machine; absolute numbers do not. Use a machine on which nothing else runs,
with at least two processors: the load client, Postgres and the server share them.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    variants: { type: 'string' },
    sizes: { type: 'string' },
    rate: { type: 'string' },
    rows: { type: 'string' },
    profile: { type: 'string' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit()
}
const unknown = positionals.find(name => !CASES.has(name))
if (unknown !== undefined) {
  console.error(
    `There is no case "${unknown}". Cases: ${[...CASES.keys()].join(', ')}. See npm run bench -- --help`,
  )
  process.exit(2)
}
const names = positionals.length > 0 ? positionals : [...CASES.keys()]
const number = (text: string | undefined) => (text === undefined ? undefined : positive(text))
if (values.profile) mkdirSync(values.profile, { recursive: true })
const chosen = values.variants?.split(',').map(variantOf) ?? VARIANTS

const opening = createBenchDatabase(values)
let closing: Promise<void> | undefined
const close = () => {
  closing ??= opening.then(opened => opened.close())
  return closing
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Otherwise the embedded Postgres would keep running; the other processes end with this one. A Ctrl-C arrives twice: npx passes it on too.
  process.on(signal, () => {
    close()
      .catch(() => undefined)
      .finally(() => process.exit(1))
  })
}
process.on('unhandledRejection', error => {
  if (!closing) throw error // when closing, unfinished work fails, which is expected
})
const database = await opening
try {
  const bench: Bench = {
    database,
    rounds: positive(values.rounds),
    seconds: positive(values.seconds),
    sizes: values.sizes?.split(',').map(positive),
    rate: number(values.rate),
    rows: number(values.rows),
    variants: chosen,
    profile: values.profile,
    progress: text => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`),
    print: text => console.log(text),
  }
  console.log(describeMachine(bench))
  for (const name of names) await CASES.get(name)?.run(bench)
  for (const file of values.profile ? await readdir(values.profile) : []) {
    if (!file.endsWith('.cpuprofile')) continue
    console.log(`${file}:\n${await topFunctions(join(values.profile ?? '', file))}`)
  }
  console.log(
    `Load average at the end: ${loadavg()
      .map(load => load.toFixed(1))
      .join(' ')}`,
  )
} finally {
  await close()
}

function describeMachine({ rounds, seconds }: Bench): string {
  const require = createRequire(import.meta.url)
  const version = (name: string) =>
    `${name} ${(require(`${name}/package.json`) as { version: string }).version}`
  const cpu = cpus()
  return `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, npm run bench -- ${process.argv.slice(2).join(' ')}
${cpu.length} x ${cpu[0]?.model.trim()}, ${process.platform} ${release()}, load average ${loadavg()[0]?.toFixed(1)} at the start
Node ${process.version}, ${['graphql-yoga', 'graphql-ws', 'ws', 'graphql', 'pg'].map(version).join(', ')}
PostgreSQL ${database.version}
${rounds} rounds of ${seconds} s for each variant; medians, ratios within a round: median (least-greatest)
`
}

/** Exits with code 2 if the text is not a number greater than 0. */
function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) {
    console.error(`"${text}" is not a number greater than 0. See npm run bench -- --help`)
    process.exit(2)
  }
  return value
}
