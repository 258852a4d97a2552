import pg from 'pg'
import { messageOf } from '../lib/errors.js'
import { socketOf } from './socket.js'
import { backendPid } from './time-limits.js'

export interface ListenConnectionOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest silence while an answer is owed, in ms. Counted from the last byte received, not from the question. */
  readonly deadline: number
  /** `isUnasked`: no statement of `run` was under way. */
  readonly onNotification: (channel: string, payload: string, isUnasked: boolean) => void
  /** Ends an attempt to connect that is under way. */
  readonly signal: AbortSignal
  /** Called once, when the connection is gone for whatever reason. */
  readonly onLost: (reason: string) => void
}

export interface ListenConnection {
  /** The process id that the server named when it accepted the connection; a pooler names one of its own making. */
  readonly namedPid: number | undefined
  /** Runs statements of LISTEN, UNLISTEN or the heartbeat; one at a time. Rejects if the connection is lost or silent. */
  run(sql: string): Promise<pg.QueryResult>
  /** Stops reading from the socket; what Postgres sends then waits in the kernel and in the server. */
  pause(): void
  resume(): void
  /** Drops the connection without ceremony; `onLost` follows. */
  destroy(reason: string): void
  /** Says goodbye to Postgres and closes. */
  close(): Promise<void>
}

/** One pg client that is used for nothing but LISTEN. It never comes back: a new one replaces it. */
export async function openListenConnection(options: ListenConnectionOptions): Promise<ListenConnection> {
  const client = new pg.Client({
    ...options.config,
    application_name: 'listenql listen',
    connectionTimeoutMillis: options.connectTimeout,
    keepAlive: true,
  })
  let lostReason: string | undefined
  let closing = false
  let paused = false
  let rejectRunning: ((error: Error) => void) | undefined

  const lose = (reason: string) => {
    if (lostReason !== undefined) return
    lostReason = reason
    rejectRunning?.(new Error(reason))
    if (!closing) options.onLost(reason)
  }
  // A killed backend fires `error` twice, then `end`; without a listener the first would end the process.
  client.on('error', error => lose(messageOf(error)))
  client.on('end', () => lose('the server closed the connection'))
  client.on('notification', ({ channel, payload = '' }) =>
    options.onNotification(channel, payload, rejectRunning === undefined),
  )
  const giveUp = () => socketOf(client).destroy()
  options.signal.addEventListener('abort', giveUp, { once: true })
  try {
    await client.connect()
  } finally {
    options.signal.removeEventListener('abort', giveUp)
  }
  const stream = socketOf(client)
  const destroy = (reason: string) => {
    lose(reason)
    stream.destroy()
  }

  /** A peer that died without a word (half-open TCP) is found because it owes an answer and sends nothing. */
  function watchSilence(): () => void {
    let seen = stream.bytesRead
    const timer = setInterval(() => {
      // Paused: bytes wait unread in the kernel, silence proves nothing.
      if (!paused && stream.bytesRead === seen) destroy(`no answer for ${options.deadline} ms`)
      seen = stream.bytesRead
    }, options.deadline)
    return () => clearInterval(timer)
  }

  return {
    namedPid: backendPid(client),
    async run(sql) {
      if (lostReason !== undefined) throw new Error(lostReason)
      const stopWatching = watchSilence()
      try {
        return await new Promise<pg.QueryResult>((resolve, reject) => {
          rejectRunning = reject
          client.query(sql).then(resolve, reject)
        })
      } finally {
        rejectRunning = undefined
        stopWatching()
      }
    },
    pause() {
      paused = true
      stream.pause()
    },
    resume() {
      paused = false
      stream.resume()
    },
    destroy,
    async close() {
      closing = true
      if (lostReason !== undefined) return
      stream.resume() // or the end of the stream would never be read
      const timer = setTimeout(() => stream.destroy(), 1000)
      await client.end().catch(() => undefined)
      clearTimeout(timer)
    },
  }
}
