import type pg from 'pg'
import { abortable, type Timer } from '../lib/abort.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { STANDBY } from './connect-failure.js'
import { createDeliveryProof, PROOF_CHANNEL, type ProofSender } from './delivery-proof.js'
import { type ListenConnection, openListenConnection } from './listen-connection.js'
import type { ListenedChannels, Reconciled } from './listened-channels.js'
import { isText, RELAX_SESSION } from './text-encoding.js'
import { liftTimeLimitsSql } from './time-limits.js'

export interface ListenSessionOptions {
  readonly config: pg.ClientConfig
  /** Interval of the heartbeat, and longest silence before the connection counts as dead, in ms. */
  readonly heartbeat: number
  /** Lends a connection that sends a notification to the LISTEN connection, to prove that it delivers. */
  readonly lend: () => Promise<ProofSender>
  /** Longest wait for a connection, in ms. */
  readonly connectTimeout: number
  readonly channels: ListenedChannels
  /** The session waits for work with it. `wake` it when channels have been requested. */
  readonly timer: Timer
  /** Whether notifications stay unread. */
  readonly isPaused: () => boolean
  /** The connection is open, and nothing is listened to yet. */
  readonly onOpen: (connection: ListenConnection) => void
  /** @param isWhole false: the payload holds bytes that are no text, so it is not what was sent */
  readonly onNotification: (channel: string, payload: string, isWhole: boolean) => void
  readonly onReconciled: (reconciled: Reconciled) => void
  /** Called once, when all requested channels are listened to. */
  readonly onReady: () => void
  readonly signal: AbortSignal
  readonly observe: Observe
}

/** The connection answers statements, but notifications do not arrive on it. */
export class DeafError extends Error {
  /** Whether a pooler runs the statements, in other sessions. */
  readonly isPooled: boolean

  constructor(isPooled: boolean, message: string) {
    super(message)
    this.isPooled = isPooled
  }
}

/** Shortest time allowed for a notification to the server itself, in ms: Postgres may be busy, whatever the heartbeat is. */
const PROOF_TIMEOUT_MS = 2000

/**
 * One LISTEN connection, from connecting until the signal aborts. It does one thing at a time: it reconciles the channels as they are
 * requested, checks at each heartbeat that Postgres still listens to them, and then proves that notifications arrive, unless one has.
 * No channel is listened to before the first such proof: no subscriber may be accepted on a connection that delivers nothing.
 * @throws the error that ended the connection; DeafError; ListenqlError DATABASE_FAILED on a standby
 */
export async function runListenSession(options: ListenSessionOptions): Promise<void> {
  const { heartbeat, channels, timer, isPaused, signal, observe } = options
  const lost = new AbortController()
  const ended = AbortSignal.any([lost.signal, signal])
  const proof = createDeliveryProof({
    patience: Math.max(heartbeat, PROOF_TIMEOUT_MS),
    isPaused,
    signal: ended,
  })
  let isAscii = false
  const connection = await openListenConnection({
    config: options.config,
    connectTimeout: options.connectTimeout,
    deadline: heartbeat,
    signal,
    onNotification: (channel, payload, isUnasked) => {
      proof.heard(isUnasked)
      if (channel !== PROOF_CHANNEL) options.onNotification(channel, payload, !isAscii || isText(payload))
    },
    onLost: reason => {
      lost.abort(new Error(reason))
      timer.wake()
    },
  })
  options.onOpen(connection)
  if (signal.aborted) return connection.close()
  if (isPaused()) connection.pause()
  const isPooled = await prepare()
  const first = await borrow()
  if (first) await prove(first)

  let isReady = false
  let isBorrowing = false
  let sender: ProofSender | undefined
  let due = performance.now() + heartbeat
  while (!signal.aborted) {
    lost.signal.throwIfAborted()
    if (performance.now() >= due) {
      due = performance.now() + heartbeat
      await compareChannels()
      observe({ type: 'database.heartbeat' })
      if (!proof.renew() && !isBorrowing && !sender) void borrowSender()
    } else if (sender) {
      const borrowed = sender
      sender = undefined
      await prove(borrowed)
    } else if (channels.isDirty) {
      await channels.reconcile(connection, options.onReconciled)
    } else if (!isReady) {
      isReady = true
      options.onReady()
    } else {
      await timer.wait(Math.max(0, Math.ceil(due - performance.now())))
    }
  }

  /** @returns whether a pooler runs the statements, in other sessions */
  async function prepare(): Promise<boolean> {
    const { rows } = await connection.run(
      `select pg_catalog.pg_is_in_recovery() as standby, pg_catalog.pg_backend_pid() as pid,
         pg_catalog.getdatabaseencoding() operator(pg_catalog.=) 'SQL_ASCII' as "isAscii"`,
    )
    if (rows[0]?.standby) throw new ListenqlError('DATABASE_FAILED', STANDBY.message, STANDBY)
    await connection.run(liftTimeLimitsSql(connection.namedPid))
    isAscii = rows[0]?.isAscii === true
    // A notification that is not UTF8 would end the connection: this way it arrives with U+FFFD in it.
    if (isAscii) await connection.run(RELAX_SESSION)
    await connection.run(`listen ${PROOF_CHANNEL}`)
    return connection.namedPid !== rows[0]?.pid
  }

  /** Compares the channels that Postgres listens to; detects a dead peer, and a pooler that runs the query in another session. */
  async function compareChannels(): Promise<void> {
    const { rows } = await connection.run(
      'select pg_catalog.count(*)::pg_catalog.int4 as count from pg_catalog.pg_listening_channels()',
    )
    const wanted = channels.active + 1 // with the channel of the proof
    if (rows[0]?.count === wanted) return
    throw new DeafError(
      isPooled,
      `Postgres listens to ${rows[0]?.count} channels for this session instead of ${wanted}`,
    )
  }

  /** Undefined if there is no second connection: then delivery cannot be proven, and the answer to LISTEN must suffice. */
  async function borrow(): Promise<ProofSender | undefined> {
    const lending = options.lend()
    try {
      return await abortable(lending, ended)
    } catch (error) {
      lending.then(
        late => late.release(),
        () => undefined,
      )
      if (!ended.aborted) observe({ type: 'database.unproven', message: messageOf(error) })
      return undefined
    }
  }

  /** In parallel: LISTEN must not wait for the second connection, which may take long. */
  async function borrowSender(): Promise<void> {
    isBorrowing = true
    const borrowed = await borrow()
    isBorrowing = false
    if (ended.aborted) borrowed?.release()
    else sender = borrowed
    timer.wake()
  }

  /** @throws DeafError if a notification to the server itself does not arrive */
  async function prove(borrowed: ProofSender): Promise<void> {
    try {
      if (await proof.attempt(borrowed)) {
        proof.renew()
        return
      }
    } catch (error) {
      return observe({ type: 'database.unproven', message: messageOf(error) })
    } finally {
      borrowed.release()
    }
    await compareChannels() // fails if the peer is dead and not only deaf
    throw new DeafError(isPooled, 'LISTEN is answered, but notifications do not arrive')
  }
}
