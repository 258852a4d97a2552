import pg from 'pg'
import { delay } from '../lib/abort.js'
import type { Observe } from '../lib/observation.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { socketOf } from '../postgres/socket.js'
import { liftTimeLimits } from '../postgres/time-limits.js'
import { canRotate, type RotateOptions, type Rotation, rotate } from './rotate.js'

export interface RetentionOptions extends RotateOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Between two rotations, in ms. Default: an eighth of `retention`, from 1 s to 60 s; with a limit on the size 10 s at most. */
  readonly interval?: number
  readonly observe: Observe
}

/** Keeps the event log from growing for ever. */
export interface Retention {
  start(): void
  /** Ends a rotation that is under way. Idempotent. */
  close(): Promise<void>
}

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS

/** Longest that a rotation may take, in ms; a dead peer shows in no other way. */
const QUERY_TIMEOUT = MINUTE_MS

/** How long Postgres may take to say goodbye, in ms. */
const CLOSE_TIMEOUT_MS = 1000

/**
 * Rotates the log about every minute, on a connection that it opens for that. Servers do so independently of each other: of
 * those that try at once, one does it. Where there is no log, or none that our login may rotate, it does nothing.
 */
export function createRetention(options: RetentionOptions): Retention {
  const { config, retention, maxLogSize, connectTimeout, observe } = options
  const interval = options.interval ?? usualInterval(options)
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let failing = false
  let wasTooLarge = false

  async function run(): Promise<void> {
    // Servers that are started together do not stay in step.
    await delay(Math.random() * Math.min(interval, 10 * SECOND_MS), stop.signal)
    while (!stop.signal.aborted) {
      let pause = interval
      try {
        const rotation = await rotateOnce()
        failing = false
        if (rotation) report(rotation)
        if (rotation?.busy !== undefined) pause = interval / 4
      } catch (error) {
        if (stop.signal.aborted) return
        if (!failing) observe({ type: 'log.rotation-failed', ...describeFailure(error, config) })
        failing = true
      }
      await delay(pause, stop.signal)
    }
  }

  async function rotateOnce(): Promise<Rotation | undefined> {
    const client = new pg.Client({
      ...config,
      application_name: 'listenql rotate',
      connectionTimeoutMillis: connectTimeout,
      query_timeout: QUERY_TIMEOUT,
    })
    client.on('error', () => undefined) // the query that runs rejects with the same
    const giveUp = () => socketOf(client).destroy()
    stop.signal.addEventListener('abort', giveUp, { once: true })
    try {
      await client.connect()
      await liftTimeLimits(client, connectTimeout)
      return (await canRotate(client)) ? await rotate(client, { retention, maxLogSize }) : undefined
    } finally {
      const timer = setTimeout(giveUp, CLOSE_TIMEOUT_MS)
      await client.end().catch(() => undefined)
      clearTimeout(timer)
      stop.signal.removeEventListener('abort', giveUp)
    }
  }

  function report({ dropped, early, droppedBytes, bytes, busy }: Rotation): void {
    if (dropped > 0) observe({ type: 'log.rotated', dropped, droppedBytes, bytes })
    if (maxLogSize === undefined) return
    const isTooLarge = bytes > maxLogSize
    if (early > 0 || (isTooLarge && !wasTooLarge)) {
      observe({ type: 'log.cap-exceeded', limit: maxLogSize, bytes, droppedBytes, early, busy })
    }
    wasTooLarge = isTooLarge
  }

  return {
    start() {
      running ??= run()
    },
    async close() {
      stop.abort()
      await running
    },
  }
}

function usualInterval({ retention, maxLogSize }: RotateOptions): number {
  const most = maxLogSize === undefined ? MINUTE_MS : 10 * SECOND_MS
  return Math.min(most, Math.max(SECOND_MS, retention / 8))
}
