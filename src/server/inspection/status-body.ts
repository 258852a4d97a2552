import type { HealthPart } from '../../telemetry/health.js'

/** The body of `/status`. */
export interface StatusBody {
  readonly instance: {
    readonly version: string
    readonly node: string
    readonly pid: number
    /** ISO 8601. */
    readonly startedAt: string
    readonly uptimeSeconds: number
  }
  readonly ready: boolean
  readonly notReady: readonly { readonly part: HealthPart; readonly reason: string }[]
  /** Null: the server follows no log, or the database does not answer. */
  readonly log: {
    readonly bytes: number
    /** Age of the oldest event, in seconds; missing if the log is empty. */
    readonly oldestSeconds?: number | undefined
    /** How far the server is from the end of the log. */
    readonly lagEvents: number
    readonly lagSeconds: number
  } | null
  readonly connections: { readonly open: number; readonly byTransport: Readonly<Record<string, number>> }
  readonly groups: {
    readonly open: number
    readonly subscribers: number
    readonly largest: readonly {
      readonly kind: string
      readonly topic: string
      readonly subscribers: number
    }[]
  }
  readonly slowest: readonly {
    readonly transport: string
    /** Address and port. */
    readonly remote: string
    readonly waitingBytes: number
    readonly blockedSeconds: number
    readonly topics: readonly string[]
  }[]
  readonly hottest: { readonly tables: readonly TopicRate[]; readonly channels: readonly TopicRate[] }
  readonly liveQueries: {
    readonly open: number
    readonly costliest: readonly {
      readonly table: string
      readonly reads: number
      /** Of all reads. */
      readonly seconds: number
      readonly lastSeconds: number
      readonly rows: number
      readonly everySeconds: number
    }[]
  }
}

interface TopicRate {
  readonly name: string
  /** Since the server started. */
  readonly events: number
  readonly perSecond: number
}
