import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Random } from './random.js'

/** Postgres is stopping or starting, or has just ended this session. */
function isOutage(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof TypeError) return false
  return !('code' in error) || /^(57P|08|E[A-Z]+$)/.test(String(error.code))
}

/** What all writers do at the moment. */
export interface WriterPhase {
  /** Only single commits, rarely. */
  readonly isLull: boolean
  readonly isPaused: boolean
}

/** One transaction, with a pause before it. @returns whether it was committed */
export type RunTransaction = (client: pg.Client, random: Random, phase: WriterPhase) => Promise<boolean>

/** Writers by name. */
export type WriterScripts = Readonly<Record<string, RunTransaction>>

export interface WritersOptions {
  readonly url: string
  readonly scripts: WriterScripts
  readonly random: (actor: string) => Random
  readonly complain: (text: string) => void
}

export interface Writers {
  readonly tally: { committed: number; rolledBack: number; lost: number }
  /** Only single commits, rarely and at random times, so that servers fall asleep in between. */
  lull(isOn: boolean): void
  /** Ends all transactions by commit or rollback; `resume` continues. */
  pause(): Promise<void>
  resume(): void
  stop(): Promise<void>
}

/** Several writers, each on a connection of its own. */
export function startWriters({ url, scripts, random: randomOf, complain }: WritersOptions): Writers {
  const tally = { committed: 0, rolledBack: 0, lost: 0 }
  const stopped = new AbortController()
  let paused: PromiseWithResolvers | undefined
  let isLull = false
  let busy = 0
  let onQuiet = () => {}

  const phase: WriterPhase = {
    get isLull() {
      return isLull
    },
    get isPaused() {
      return paused !== undefined
    },
  }

  async function work(name: string, transact: RunTransaction): Promise<void> {
    const random = randomOf(name)
    while (!stopped.signal.aborted) {
      const client = new pg.Client({
        connectionString: url,
        application_name: name,
        connectionTimeoutMillis: 5000,
        query_timeout: 20_000,
        options: '-c lock_timeout=700ms -c statement_timeout=10s',
      })
      client.on('error', () => undefined) // the query that runs rejects with the same
      try {
        await client.connect()
        while (!stopped.signal.aborted) {
          if (paused) await paused.promise
          if (stopped.signal.aborted) break
          busy++
          try {
            if (await transact(client, random, phase)) tally.committed++
            else tally.rolledBack++
          } finally {
            if (--busy === 0) onQuiet()
          }
        }
      } catch (error) {
        if (isOutage(error)) tally.lost++
        else complain(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`)
        await delay(random.int(20, 150))
      }
      await client.end().catch(() => undefined)
    }
  }

  const running = Object.entries(scripts).map(([name, transact]) => work(name, transact))
  const resume = () => {
    paused?.resolve()
    paused = undefined
  }
  return {
    tally,
    lull(isOn) {
      isLull = isOn
    },
    async pause() {
      paused ??= withResolvers()
      if (busy === 0) return
      await new Promise<void>(resolve => {
        onQuiet = resolve
      })
    },
    resume,
    async stop() {
      stopped.abort()
      resume()
      await Promise.all(running)
    },
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>
  resolve(): void
}

function withResolvers(): PromiseWithResolvers {
  let resolve = () => {}
  const promise = new Promise<void>(done => {
    resolve = done
  })
  return { promise, resolve: () => resolve() }
}
