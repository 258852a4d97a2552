/**
 * How long a committed row takes to reach a client: from the moment the writer sends its INSERT, and from the moment the writer
 * learns of the commit, to the moment the client has the event. Idle: single commits, with the server asleep in between. Busy:
 * 200 commits per second. The same for a plain NOTIFY on a channel, for comparison. Server, writer and client run on one
 * machine; the server has its own process, and writer and client share one.
 *
 *   npm run bench:latency -- [--commits N] [--seconds N] [--rate N] [--url URL] [--directory DIR]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpus, release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createClient } from 'graphql-ws'
import pg from 'pg'
import { WebSocket } from 'ws'
import { formatTable } from '../src/lib/table.js'
import { createBenchDatabase } from './lib/database.js'
import { quantile } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    commits: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' },
    url: { type: 'string' },
    directory: { type: 'string' },
  },
})

interface Sample {
  readonly sent: number
  committed: number
  received: number
}

interface Path {
  readonly name: string
  /** The statement; $1 is a mark that the event contains. */
  readonly write: string
  readonly subscription: string
  readonly markOf: (data: Record<string, Record<string, unknown>>) => unknown
}

const PATHS: readonly Path[] = [
  {
    name: 'watched table',
    write: 'insert into people (name) values ($1)',
    subscription: 'subscription { peopleChanged { operation row { pk name } } }',
    markOf: data => (data.peopleChanged?.row as { name: unknown } | undefined)?.name,
  },
  {
    name: 'NOTIFY',
    write: `select pg_notify('marks', $1)`,
    subscription: 'subscription { channel(name: "marks") { payload } }',
    markOf: data => data.channel?.payload,
  },
]

const database = await createBenchDatabase(values)
const server: { child?: ChildProcess } = {}
try {
  await database.query('create table people (pk serial primary key, name text)')
  await database.query(`select listenql.watch('people')`)
  await database.query('select * from listenql.refresh()')
  const url = await startServer()
  const rows: (readonly string[])[] = []
  for (const mode of ['idle', 'busy'] as const) {
    for (const path of PATHS) rows.push([mode, path.name, ...describe(await measure(url, path, mode))])
  }
  console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`)
  console.log(`PostgreSQL ${database.version}\n`)
  console.log(
    formatTable(
      ['', 'path', 'events', 'sent to client p50', 'p99', 'commit to client p50', 'p99', 'most'].map(
        (name, i) => ({ name, align: i < 2 ? ('left' as const) : ('right' as const) }),
      ),
      rows,
    ),
  )
} finally {
  server.child?.kill('SIGKILL')
  await database.close()
}

function startServer(): Promise<string> {
  const cli = fileURLToPath(new URL('../dist/src/cli.js', import.meta.url))
  const child = spawn(process.execPath, [cli, '--port', '0'], {
    env: { ...process.env, DATABASE_URL: database.url },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  server.child = child
  return new Promise((resolve, reject) => {
    let out = ''
    child.stderr.on('data', chunk => {
      process.stderr.write(chunk)
      out += chunk
      const url = /Listening on (http:[^\s"]+)/.exec(out)?.[1]
      if (url) resolve(url)
    })
    child.once('exit', code => reject(new Error(`the server ended with ${code}`)))
  })
}

async function measure(url: string, path: Path, mode: 'idle' | 'busy'): Promise<Sample[]> {
  const samples = new Map<string, Sample>()
  const client = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket })
  const accepted = new Promise<void>(resolve => {
    client.on('ping', (_received, payload) => payload?.cursors && resolve())
  })
  let open = 0
  let settled = () => {}
  client.subscribe<Record<string, Record<string, unknown>>>(
    { query: path.subscription },
    {
      next({ data }) {
        const sample = data && samples.get(String(path.markOf(data)))
        if (!sample) return
        sample.received = performance.now()
        if (--open === 0) settled()
      },
      error: error => console.error(error),
      complete: () => undefined,
    },
  )
  await accepted
  const writer = new pg.Client(database.url)
  await writer.connect()

  const write = async (i: number) => {
    const mark = `${mode} ${i}`
    const sample: Sample = { sent: performance.now(), committed: Number.NaN, received: Number.NaN }
    samples.set(mark, sample)
    open++
    await writer.query({ name: path.name, text: path.write, values: [mark] })
    sample.committed = performance.now()
  }
  const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
  if (mode === 'idle') {
    for (let i = 0; i < Number(values.commits); i++) {
      await pause(350 + Math.random() * 400) // longer than --quiet, so the server is asleep
      await write(i)
    }
  } else {
    const began = performance.now()
    const rate = Number(values.rate)
    for (let i = 0; i < rate * Number(values.seconds); i++) {
      await pause(Math.max(0, began + (i * 1000) / rate - performance.now()))
      await write(i)
    }
  }
  if (open > 0) await new Promise<void>(resolve => (settled = resolve))
  await writer.end()
  await client.dispose()
  return [...samples.values()]
}

function describe(samples: readonly Sample[]): string[] {
  const fromSent = samples.map(({ sent, received }) => received - sent)
  // An event may arrive before the writer has its answer.
  const fromCommit = samples.map(({ committed, received }) => Math.max(0, received - committed))
  const ms = (value: number) => `${value.toFixed(1)} ms`
  return [
    String(samples.length),
    ms(quantile(fromSent, 0.5)),
    ms(quantile(fromSent, 0.99)),
    ms(quantile(fromCommit, 0.5)),
    ms(quantile(fromCommit, 0.99)),
    ms(Math.max(...fromCommit)),
  ]
}
