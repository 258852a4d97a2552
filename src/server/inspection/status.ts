import { tableTitle } from '../../catalog/watched-table.js'
import type { Groups } from '../../delivery/groups.js'
import type { LiveQueries } from '../../live/live-contract.js'
import type { Topic } from '../../sources/source.js'
import type { Health } from '../../telemetry/health.js'
import type { Connections } from '../../transport/connections.js'
import type { EventRates } from './event-rates.js'
import type { LogFigures } from './log-figures.js'
import type { StatusBody } from './status-body.js'

export interface StatusOptions {
  readonly version: string
  readonly health: Pick<Health, 'problems'>
  readonly connections: Pick<Connections, 'size' | 'byTransport' | 'slowest'>
  readonly groups: Pick<Groups, 'size' | 'largest'>
  readonly liveQueries: Pick<LiveQueries, 'size' | 'costliest'>
  readonly rates: EventRates
  /** The name of a channel may hold a claim of a viewer; the pattern that opens it does not. */
  readonly patternOf: (channel: string) => string
  readonly logFigures: { refresh(): Promise<void>; readonly present: LogFigures | undefined }
}

/** Longest list in the answer. */
const MOST = 10

/**
 * The state of the server at the moment, for `/status`: what is large, slow, hot or costly. It has no claims, tokens, documents or
 * payloads; of clients, it has the address.
 */
export async function readStatus(options: StatusOptions): Promise<StatusBody> {
  const { version, health, connections, groups, liveQueries, rates, patternOf, logFigures } = options
  const titleOf = ({ kind, name }: Topic) => (kind === 'channel' ? patternOf(name) : name)
  await logFigures.refresh()
  const problems = health.problems()
  return {
    instance: {
      version,
      node: process.versions.node,
      pid: process.pid,
      startedAt: new Date(performance.timeOrigin).toISOString(),
      uptimeSeconds: Math.round(process.uptime()),
    },
    ready: problems.length === 0,
    notReady: problems,
    log: logFigures.present ?? null,
    connections: {
      open: connections.size,
      byTransport: Object.fromEntries(
        [...connections.byTransport].map(([transport, { open }]) => [transport, open]),
      ),
    },
    groups: {
      open: groups.size.groups,
      subscribers: groups.size.subscribers,
      largest: groups.largest(MOST).map(({ topic, isState, size }) => ({
        kind: isState ? 'live' : topic.kind,
        topic: titleOf(topic),
        subscribers: size,
      })),
    },
    slowest: connections.slowest(MOST).map(({ transport, remote, waitingBytes, blockedFor, topics }) => ({
      transport,
      remote,
      waitingBytes,
      blockedSeconds: seconds(blockedFor),
      topics: [...new Set(topics.map(titleOf))],
    })),
    hottest: { tables: rates.hottest('tables', MOST), channels: rates.hottest('channels', MOST) },
    liveQueries: {
      open: liveQueries.size,
      costliest: liveQueries.costliest(MOST).map(({ table, reads, ms, lastMs, rows, every }) => ({
        table: tableTitle(table),
        reads,
        seconds: seconds(ms),
        lastSeconds: seconds(lastMs),
        rows,
        everySeconds: seconds(every),
      })),
    },
  }
}

function seconds(ms: number): number {
  return Math.round(ms) / 1000
}
