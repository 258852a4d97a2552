import { setTimeout as delay } from 'node:timers/promises'
import type { StressDatabase } from './database.js'
import type { Random } from './random.js'
import type { StressServers } from './servers.js'

/** The kinds of faults, and how often each occurs in a round of the deck. */
const DECK = {
  'LISTEN connection': 7,
  'log connection': 7,
  "any of a server's connections": 3,
  "writer's connection": 2,
  'server kill -9': 2,
  'server SIGTERM': 1,
  'Postgres kill -9': 1,
  'Postgres immediate': 1,
  'Postgres backend kill -9': 1,
} as const

type Kill = keyof typeof DECK

/** A further kind of fault. */
export interface Fault {
  /** How often it occurs in a round of the deck. */
  readonly share: number
  /** @returns what was hit: 0 if it was not possible */
  strike(): Promise<number>
}

export interface ChaosOptions {
  readonly database: StressDatabase
  readonly servers: StressServers
  readonly random: Random
  /** Shortest and longest time between two faults, in ms. */
  readonly pause: readonly [number, number]
  /** Further faults, by name. */
  readonly more?: Readonly<Record<string, Fault>>
  /** How often kinds of faults occur, where it is not the usual number; 0: never. */
  readonly shares?: Readonly<Partial<Record<Kill, number>>>
}

export interface Chaos {
  readonly tally: ReadonlyMap<string, number>
  /** Causes faults for the given time, in ms; resolves when everything that was killed has been started again. */
  rage(ms: number): Promise<void>
}

/**
 * Kills at random. Each kind occurs once before any occurs more often than its share, so that a short run has all of them, and further
 * faults occur before the usual ones.
 */
export function createChaos(options: ChaosOptions): Chaos {
  const { database, servers, random, pause, more = {} } = options
  const tally = new Map<string, number>()
  const kinds = Object.entries<number>({
    ...DECK,
    ...Object.fromEntries(Object.entries(more).map(([kind, { share }]) => [kind, share])),
    ...options.shares,
  }).filter(([, share]) => share > 0)
  let deck: string[] = []
  /** Promises of the servers that are down; each resolves when the server is up again. */
  const restarts = new Set<Promise<void>>()

  function draw(): string {
    if (deck.length === 0) {
      const rest = kinds.flatMap(([kind, share]) => Array<string>(share - 1).fill(kind))
      const [usual, further] = [false, true].map(isFurther =>
        kinds.map(([kind]) => kind).filter(kind => kind in more === isFurther),
      ) as [string[], string[]]
      deck = [rest, usual, further].flatMap(random.shuffle)
    }
    return deck.pop() as string
  }

  async function terminate(condition: string, most: number): Promise<number> {
    const rows = await database.query(
      `select pg_terminate_backend(pid) from (select pid from pg_stat_activity
         where datname = 'stress' and pid <> pg_backend_pid() and ${condition} order by random() limit $1) victims`,
      [most],
    )
    return rows.length
  }

  async function restart(how: 'SIGKILL' | 'SIGTERM', pauseFor: number): Promise<void> {
    const server = random.pick(servers.all)
    await server.kill(how)
    await delay(pauseFor)
    server.start()
  }

  /** @returns the number of processes or sessions that were hit */
  async function strike(kind: Kill): Promise<number> {
    const most = random.pick([1, 1, 3])
    const pauseFor = random.int(0, 800)
    switch (kind) {
      case 'LISTEN connection':
        return terminate(`application_name = 'listenql listen'`, most)
      case 'log connection':
        return terminate(`application_name = 'listenql log'`, most)
      case "any of a server's connections":
        return terminate(`application_name like 'listenql%'`, most)
      case "writer's connection":
        return terminate(`application_name like '%writer%'`, most)
      case 'server kill -9':
      case 'server SIGTERM': {
        if (restarts.size > 0) return 0 // one at a time, otherwise clients find no server
        const restarted = restart(kind === 'server SIGTERM' ? 'SIGTERM' : 'SIGKILL', pauseFor)
        restarts.add(restarted)
        void restarted.finally(() => restarts.delete(restarted))
        return 1
      }
      case 'Postgres kill -9':
        await database.crash('kill -9', () => delay(pauseFor))
        return 1
      case 'Postgres immediate':
        await database.crash('immediate', () => delay(pauseFor))
        return 1
      case 'Postgres backend kill -9':
        await database.crash('backend', () => Promise.resolve())
        return 1
    }
  }

  return {
    tally,
    async rage(ms) {
      for (const end = Date.now() + ms; Date.now() < end; ) {
        await delay(Math.min(random.int(...pause), Math.max(0, end - Date.now())))
        const kind = draw()
        try {
          const hit = await (more[kind]?.strike() ?? strike(kind as Kill))
          if (hit > 0) tally.set(kind, (tally.get(kind) ?? 0) + hit)
          else deck.unshift(kind)
        } catch (error) {
          // Postgres is recovering from the last fault. Any other error would repeat at each attempt.
          if (!isUnreachable(error)) throw error
          deck.push(kind)
        }
      }
      await Promise.all(restarts)
    },
  }
}

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return 'code' in error
    ? /^(57P|08|E[A-Z]+$)/.test(String(error.code))
    : /terminated|timeout/i.test(error.message)
}
