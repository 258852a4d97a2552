import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { listeningUrl } from './listening-url.js'
import { waitUntil } from './wait.js'

const CLI = join(import.meta.dirname, '../../dist/src/cli.js')

/** The built server in a separate process that a test can kill under its clients, on the same port after each start. */
export interface ServerProcess {
  readonly url: string
  /** Sends SIGKILL, and resolves once the process has ended. */
  kill(): Promise<void>
  /** Sends SIGTERM, after which the server announces its end to clients, and resolves once the process has ended. */
  stop(): Promise<void>
  /** Starts the server again, and resolves once it answers. */
  start(): Promise<void>
}

export async function startServerProcess(databaseUrl: string): Promise<ServerProcess> {
  let port = '0'
  let running = await run()

  async function run() {
    const options = ['--host', 'localhost', '--port', port, '--database-url', databaseUrl]
    const child = spawn(process.execPath, [CLI, ...options], { env: {}, stdio: ['ignore', 'ignore', 'pipe'] })
    const exit = once(child, 'exit')
    const output = { err: '' }
    child.stderr.on('data', chunk => (output.err += chunk))
    const said = await waitUntil(() => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${output.err}`)
      return listeningUrl(output.err)
    }, 'the server to start')
    port = new URL(said).port
    return { child, exit, url: said }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    running.child.kill(signal)
    await running.exit
  }

  return {
    url: running.url,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    async start() {
      running = await run()
    },
  }
}
