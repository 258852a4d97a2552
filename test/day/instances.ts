import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../support/nginx.js'
import { waitUntil } from '../support/wait.js'

const CLI = resolve(import.meta.dirname, '../../dist/src/cli.js')

/** Ends with the process that started it, however that ends. */
const LEASH = 'data:text/javascript,process.on("disconnect",()=>process.exit(0));process.channel.unref()'

/** The number of log lines that are kept. */
const LINES = 2000

/** A line of a server's log. */
export type LogLine = Readonly<Record<string, unknown>>

/** One server: `node dist/src/cli.js` with the configuration file of all of them, on ports of its own. */
export interface Instance {
  readonly name: string
  readonly httpsPort: number
  readonly metricsPort: number
  /** The last lines of its log. */
  readonly log: readonly LogLine[]
  /** Starts it, and resolves once it is ready. */
  start(): Promise<void>
  /** Sends SIGKILL, and resolves once it has ended. */
  kill(): Promise<void>
  /** Sends SIGTERM, and resolves once it has drained and ended. */
  stop(): Promise<void>
  /** Sends SIGHUP. */
  reload(): void
}

/** @param complain is told when it ends by itself, and of each error in its log */
export async function createInstance(
  name: string,
  options: { readonly folder: string; readonly config: string; readonly complain: (text: string) => void },
): Promise<Instance> {
  const [port, httpsPort, metricsPort] = await Promise.all([freePort(), freePort(), freePort()])
  const log: LogLine[] = []
  let child: ChildProcess | undefined
  let isEnding = false
  const ports = { port, 'https-port': httpsPort, 'metrics-port': metricsPort }
  const flags = Object.entries(ports).flatMap(([flag, value]) => [`--${flag}`, String(value)])

  function take(text: string): void {
    const line: LogLine = text.startsWith('{') ? JSON.parse(text) : { message: text }
    log.push(line)
    if (log.length > LINES) log.shift()
    // Outages are logged as warnings; an error is a fault of the server.
    if (line.level === 'error' || line.level === 'fatal') options.complain(`${name} logged ${text}`)
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    isEnding = true
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  return {
    name,
    httpsPort,
    metricsPort,
    log,
    async start() {
      isEnding = false
      const started = spawn(
        process.execPath,
        ['--import', LEASH, CLI, 'serve', '--config', join(options.folder, options.config), ...flags],
        { cwd: options.folder, env: {}, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
      )
      child = started
      for (const input of [started.stdout, started.stderr])
        if (input) createInterface({ input }).on('line', take)
      started.once('exit', (code, signal) => {
        if (!isEnding)
          options.complain(
            `${name} ended by itself with ${signal ?? code}: ${log.slice(-3).map(line => JSON.stringify(line))}`,
          )
      })
      const isReady = () =>
        fetch(`http://127.0.0.1:${metricsPort}/readyz`).then(
          ({ status }) => status === 200,
          () => false,
        )
      await waitUntil(isReady, `${name} to be ready`, 60_000)
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    reload: () => void child?.kill('SIGHUP'),
  }
}
