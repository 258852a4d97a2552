import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

const CLI = resolve(import.meta.dirname, '../../dist/src/cli.js')

/** Ends with the process that started it, however that ends. */
const LEASH = 'data:text/javascript,process.on("disconnect",()=>process.exit(0));process.channel.unref()'

/** The number of log lines that are kept for a report. */
const LINES = 200

/** One `listenql serve` at a fixed port, which the run kills and starts again. */
export interface StressServer {
  readonly name: string
  readonly url: string
  readonly isRunning: boolean
  /** kill -9, or SIGTERM; resolves when the process is gone. */
  kill(how: 'SIGKILL' | 'SIGTERM'): Promise<void>
  /** Does nothing if it runs: two faults may have killed it. */
  start(): void
  /** Faults: it ended by itself, or logged an error. */
  readonly complaints: readonly string[]
  /** The last lines of the server's log. */
  readonly log: readonly string[]
}

export interface StressServers {
  readonly all: readonly StressServer[]
  close(): Promise<void>
}

/** Options of the three servers: the first has the defaults, the second only polls, the third relies on the doorbell alone and soon sleeps. */
const FLAGS = [[], ['--doorbell', 'poll'], ['--quiet', '20ms', '--safety', '10m']] as const

/** @param more options of all of them */
export async function startStressServers(
  databaseUrl: string,
  more: readonly string[] = [],
): Promise<StressServers> {
  const all = await Promise.all(
    FLAGS.map(async (flags, i) =>
      startStressServer(`server ${i + 1}`, await freePort(), databaseUrl, [...flags, ...more]),
    ),
  )
  return {
    all,
    close: async () => void (await Promise.all(all.map(server => server.close()))),
  }
}

function startStressServer(name: string, port: number, databaseUrl: string, flags: readonly string[]) {
  const log: string[] = []
  const complaints: string[] = []
  let child: ChildProcess | undefined
  let expected = false
  const args = ['--import', LEASH, CLI, 'serve', '--database-url', databaseUrl, '--port', String(port)]
  // Frequent keep-alives, because they carry positions; and short pauses, so that an outage does not take half of the run.
  const common = ['--keep-alive', '400ms', '--reconnect-max', '1s', '--log-format', 'json', '--no-graphiql']
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([key]) => !/^(LISTENQL|ES|PG)|^(DATABASE_URL|PORT|NODE_OPTIONS)$/.test(key),
    ),
  )

  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null

  function take(line: string): void {
    log.push(line)
    if (log.length > LINES) log.shift()
    // Outages are logged as warnings; an error is a fault in the server.
    if (line.includes('"level":"error"')) complaints.push(`${name} logged ${line}`)
  }

  function start(): void {
    if (isRunning()) return
    expected = false
    const started = spawn(process.execPath, [...args, ...common, ...flags], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    child = started
    for (const input of [started.stdout, started.stderr])
      if (input) createInterface({ input }).on('line', take)
    started.once('exit', (code, signal) => {
      if (!expected)
        complaints.push(`${name} ended by itself with ${signal ?? code}: ${log.slice(-5).join('\n')}`)
    })
  }

  async function kill(how: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    expected = true
    if (!child || !isRunning()) return
    const exit = once(child, 'exit')
    child.kill(how)
    await exit
  }

  start()
  return {
    name,
    url: `http://127.0.0.1:${port}`,
    get isRunning() {
      return isRunning()
    },
    kill,
    start,
    complaints,
    log,
    close: () => kill('SIGKILL'),
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
