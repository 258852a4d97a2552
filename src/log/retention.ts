import type pg from 'pg'
import { delay } from '../lib/abort.js'
import type { Observe } from '../lib/observation.js'
import { describeFailure } from '../postgres/connect-failure.js'
import { openConnection } from '../postgres/connection.js'
import { canRotate, type RotateOptions, type Rotation, rotate } from './rotate.js'

export interface RetentionOptions {
  /** Read at each rotation, since a reload may change them. */
  readonly limits: RotateOptions
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /**
   * Time between two rotations, in ms. Default: an eighth of `retention`, at least 1 s and at most 60 s, or 10 s if `maxLogSize`
   * is set.
   */
  readonly interval?: number
  readonly observe: Observe
}

/** Rotates the event log while the server runs, so that it does not grow without limit. */
export interface Retention {
  start(): void
  /** Aborts a rotation that is under way. Idempotent. */
  close(): Promise<void>
}

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS

const QUERY_TIMEOUT_MS = MINUTE_MS

/**
 * Rotates the log about once a minute, on a connection that it opens for each rotation. The servers of a database do so
 * independently; if several try at once, one of them rotates. Does nothing if the database has no log that the login may rotate.
 */
export function createRetention(options: RetentionOptions): Retention {
  const { config, limits, connectTimeout, observe } = options
  const intervalNow = () => options.interval ?? usualInterval(limits)
  const stop = new AbortController()
  let running: Promise<void> | undefined
  let failing = false
  let wasTooLarge = false

  async function run(): Promise<void> {
    // A random delay, so that servers that start together do not rotate together.
    await delay(Math.random() * Math.min(intervalNow(), 10 * SECOND_MS), stop.signal)
    while (!stop.signal.aborted) {
      let pause = intervalNow()
      try {
        const rotation = await rotateOnce()
        failing = false
        if (rotation) report(rotation)
        if (rotation?.busy !== undefined) pause = intervalNow() / 4
      } catch (error) {
        if (stop.signal.aborted) return
        if (!failing) observe({ type: 'log.rotation-failed', ...describeFailure(error, config) })
        failing = true
      }
      await delay(pause, stop.signal)
    }
  }

  async function rotateOnce(): Promise<Rotation | undefined> {
    const connection = await openConnection({
      config: { ...config, application_name: 'listenql rotate' },
      connectTimeout,
      queryTimeout: QUERY_TIMEOUT_MS,
      signal: stop.signal,
    })
    const { client } = connection
    try {
      return (await canRotate(client)) ? await rotate(client, limits) : undefined
    } finally {
      await connection.close()
    }
  }

  function report({ dropped, early, droppedBytes, bytes, busy }: Rotation): void {
    if (dropped > 0) observe({ type: 'log.rotated', dropped, droppedBytes, bytes })
    const { maxLogSize } = limits
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
