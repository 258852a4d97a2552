import type { Chaos } from './chaos.js'
import type { StressClient } from './client.js'
import type { Writers } from './writers.js'

/** The result of a run. */
export interface Summary {
  readonly seconds: number
  readonly clients: number
  readonly transactions: Writers['tally']
  /** Events that arrived, over all clients. */
  readonly deliveries: number
  readonly resumes: number
  readonly snapshots: number
  readonly rewinds: number
  readonly ways: Readonly<Record<string, number>>
  readonly kills: Readonly<Record<string, number>>
  /** Distinct events, over all topics. */
  readonly events: number
  readonly lost: number
  readonly doubled: number
  readonly problems: readonly string[]
  readonly complaints: readonly string[]
  /** The number of events that `where id > last` would have lost. */
  readonly naive: { readonly missed: number; readonly of: number }
}

export interface ProgressOptions {
  readonly clients: readonly StressClient[]
  readonly chaos: Chaos
  readonly writers: Writers
  readonly complaints: readonly string[]
  readonly print: (line: string) => void
}

/** Time between two lines, in ms. */
const INTERVAL = 3000

/** Prints the progress every few seconds. */
export function createProgress({ clients, chaos, writers, complaints, print }: ProgressOptions) {
  const started = performance.now()
  const sum = (count: (client: StressClient) => number) => clients.map(count).reduce((a, b) => a + b, 0)
  const ways = () => {
    const all: Record<string, number> = {}
    for (const { tally } of clients) for (const [way, count] of tally.ways) all[way] = (all[way] ?? 0) + count
    return all
  }
  const summary = () => ({
    seconds: Math.round((performance.now() - started) / 1000),
    clients: clients.length,
    transactions: writers.tally,
    deliveries: sum(client => client.record.count),
    resumes: sum(client => client.tally.resumes),
    snapshots: sum(client => client.tally.snapshots),
    rewinds: sum(client => client.tally.rewinds),
    ways: ways(),
    kills: Object.fromEntries(chaos.tally),
  })
  const timer = setInterval(() => {
    const { seconds, transactions, deliveries, resumes, kills } = summary()
    const killed = Object.values(kills).reduce((a, b) => a + b, 0)
    print(
      `${String(seconds).padStart(4)} s  ${transactions.committed} commits, ${deliveries} deliveries, ${resumes} resumes, ${killed} kills${complaints.length > 0 ? `, ${complaints.length} COMPLAINTS: ${complaints[0]}` : ''}`,
    )
  }, INTERVAL)
  return { summary, stop: () => clearInterval(timer) }
}

/** Describes the result of a run in words. */
export function summaryLines(seed: number, summary: Summary): string[] {
  const { transactions: t, naive } = summary
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')
  return [
    `seed ${seed}, ${summary.seconds} s`,
    `${summary.events} events of ${t.committed} transactions (${t.rolledBack} rolled back, ${t.lost} connections lost in one)`,
    `${summary.deliveries} deliveries to ${summary.clients} clients; ${summary.resumes} resumes, ${summary.snapshots} snapshots, ${summary.rewinds} times back to an older event`,
    `resumed over ${list(summary.ways)}`,
    `killed: ${list(summary.kills)}`,
    `\`where id > last\` would have lost ${naive.missed} of ${naive.of}`,
    `${summary.lost} lost, ${summary.doubled} doubled, ${summary.problems.length + summary.complaints.length} problems`,
  ]
}
