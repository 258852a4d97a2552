import pg from 'pg'
import { messageOf } from '../lib/errors.js'
import { socketOf } from './socket.js'
import { backendPid } from './time-limits.js'

export interface ListenConnectionOptions {
  readonly config: pg.ClientConfig
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  /** Longest silence during a statement, in ms. Counted from the last byte received, not from the start of the statement. */
  readonly deadline: number
  /** `isUnasked`: no statement of `run` was running. */
  readonly onNotification: (channel: string, payload: string, isUnasked: boolean) => void
  /** Ends an attempt to connect. */
  readonly signal: AbortSignal
  /** Called once, when the connection is lost for any reason. */
  readonly onLost: (reason: string) => void
}

export interface ListenConnection {
  /** The process id that the server reported when it accepted the connection; a pooler invents one. */
  readonly namedPid: number | undefined
  /** Runs statements of LISTEN, UNLISTEN or the heartbeat; one at a time. Rejects if the connection is lost or silent. */
  run(sql: string): Promise<pg.QueryResult>
  /** Stops reading from the socket; further data of Postgres stays in the kernel and in the server. */
  pause(): void
  resume(): void
  /** Drops the connection at once; `onLost` follows. */
  destroy(reason: string): void
  /** Closes the connection as the protocol requires. */
  close(): Promise<void>
}

/** A pg client that only listens. It never reconnects: a new one replaces it. */
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

  /** Detects a dead peer (half-open TCP): it sends no bytes although a statement waits for an answer. */
  function watchSilence(): () => void {
    let seen = stream.bytesRead
    const timer = setInterval(() => {
      // While it is paused, bytes stay unread in the kernel, and silence proves nothing.
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
      stream.resume() // otherwise the end of the stream would not be read
      const timer = setTimeout(() => stream.destroy(), 1000)
      await client.end().catch(() => undefined)
      clearTimeout(timer)
    },
  }
}
