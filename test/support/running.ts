import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { listeningUrl } from './listening-url.js'
import { sendSignal } from './send-signal.js'
import { waitUntil } from './wait.js'

export const CLI = resolve(import.meta.dirname, '../../dist/src/cli.js')

/** A running command, and its output so far. */
export interface Running {
  readonly child: ChildProcess
  readonly out: () => string
  readonly err: () => string
  /** The exit code, or the signal that ended the process. */
  readonly end: Promise<number | NodeJS.Signals | null>
}

export interface Commands {
  /** Runs the built listenql. */
  run(...args: string[]): Running
  /** Runs any program, without the variables that configure listenql. */
  spawn(program: string, args: readonly string[], options?: SpawnOptions): Running
  /** Starts a server on a free port, and resolves once it listens. */
  serve(...args: string[]): Promise<Running & { readonly url: string }>
  /** Ends all commands that still run, and waits for their end. */
  endAll(): Promise<void>
}

/** @param options.cwd Default: that of this process */
export function createCommands({ cwd }: { readonly cwd?: string } = {}): Commands {
  /** A shell that was started detached leads a group, and does not forward signals to it. */
  const all: (Running & { readonly isGroup: boolean })[] = []

  function start(program: string, args: readonly string[], options: SpawnOptions = {}): Running {
    const child = spawn(program, args, {
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd !== undefined && { cwd }),
      ...options,
    })
    const printed = { out: '', err: '' }
    child.stdout?.on('data', chunk => (printed.out += chunk))
    child.stderr?.on('data', chunk => (printed.err += chunk))
    const end = new Promise<number | NodeJS.Signals | null>(done =>
      child.once('close', (code, signal) => done(code ?? signal)),
    )
    const running = { child, out: () => printed.out, err: () => printed.err, end }
    all.push({ ...running, isGroup: options.detached === true })
    return running
  }
  const run = (...args: string[]) => start(process.execPath, [CLI, ...args])

  return {
    run,
    spawn: start,
    async serve(...args) {
      const server = run('serve', '--port', '0', ...args)
      const url = await waitUntil(
        () => {
          if (server.child.exitCode !== null) throw new Error(`the server ended: ${server.err()}`)
          return listeningUrl(server.err())
        },
        'the server to listen',
        60_000,
      )
      return { ...server, url }
    },
    async endAll() {
      for (const { child, end, isGroup } of all.splice(0)) {
        if (child.exitCode === null && child.signalCode === null) {
          if (isGroup) sendSignal(-(child.pid as number), 'SIGTERM')
          else child.kill('SIGTERM')
        }
        await end
      }
    },
  }
}

/**
 * Returns the environment of this process without the variables that configure listenql, without those that npm sets, and with
 * colours off: programs that see FORCE_COLOR or CI put escape sequences into the lines that tests look for.
 */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(LISTENQL|ES|PG|npm)|^(DATABASE_URL|PORT|LOG_LEVEL|FORCE_COLOR|CI)$/.test(name),
  )
  return { ...Object.fromEntries(kept), NO_COLOR: '1' }
}
