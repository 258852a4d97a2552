import { randomBytes } from 'node:crypto'
import type { Groups } from '../../delivery/groups.js'
import { Outbound, type OutboundOptions } from '../../delivery/outbound.js'
import type { Sink } from '../../delivery/sink.js'
import type { SubscriptionRequest } from '../../delivery/subscription.js'
import type { SubscriptionHandle } from '../../delivery/subscription-handle.js'
import { messageOf } from '../../lib/errors.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import { HEALTH_CHANNEL_PREFIX } from '../../postgres/channel-name.js'
import { hasSqlState, SQL_STATE } from '../../postgres/sql-state.js'
import { EventSource } from '../../sources/source.js'
import type { HealthAnswer } from '../../telemetry/health.js'

export interface DeepHealthOptions {
  readonly groups: Pick<Groups, 'join'>
  readonly follow: LogFollower['follow']
  /** Publishes a durable event. @throws the error of connecting or of Postgres, also after `timeout` ms */
  readonly publish: (channel: string, payload: string, timeout: number) => Promise<void>
  /** For the connection that takes the event, in this process. */
  readonly outbound: Pick<OutboundOptions, 'scheduler' | 'backpressure' | 'memory' | 'observe'>
  /** Longest that an event may take, in ms. Default: 5000. */
  readonly deadline?: number
  /** For how long an answer is given again, in ms: each check writes to the database. Default: 10,000. */
  readonly interval?: number
}

/** Where the event was lost. */
type Step = 'publish' | 'deliver'

class Failed extends Error {
  readonly step: Step
  constructor(step: Step, error: unknown) {
    super(messageOf(error), { cause: error })
    this.step = step
  }
}

/** The reasons that every client may read. The message of the failure may contain names and addresses of the database. */
const REASONS: Readonly<Record<Step, string>> = {
  publish: 'the event could not be published',
  deliver: 'the event did not arrive',
}

interface Outcome {
  readonly forOperators: HealthAnswer
  readonly forClients: HealthAnswer
}

/** The server's login may not publish, or there is no event log, so the check says nothing about delivery. */
const IMPOSSIBLE = [SQL_STATE.insufficientPrivilege, SQL_STATE.undefinedFunction, SQL_STATE.invalidSchemaName]

/**
 * Proves that events are delivered: publishes one on a channel of its own, and takes it as a subscriber would, from the log through a
 * group and the outbound of a connection. Requests during the check, and soon after it, get the same answer.
 * @returns a function that answers 200, 503 if the event did not arrive in time, or 501 if the login may not publish. Its
 * `showsDetails` says whether the answer may have the message of the database.
 */
export function createDeepHealth(
  options: DeepHealthOptions,
): (showsDetails: boolean) => Promise<HealthAnswer> {
  const { publish, deadline = 5000, interval = 10_000 } = options
  const channel = `${HEALTH_CHANNEL_PREFIX}${randomBytes(8).toString('hex')}`
  const request = requestOf(channel, options.follow)
  let latest: Promise<Outcome> | undefined
  let until = 0

  async function check(): Promise<Outcome> {
    const checkedAt = new Date().toISOString()
    const began = performance.now()
    try {
      await deliver(randomBytes(8).toString('hex'))
      const tookMs = Math.round(performance.now() - began)
      const answer = { status: 200, body: { status: 'ok', deep: { tookMs, checkedAt } } }
      return { forOperators: answer, forClients: answer }
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      const { step, message } = error
      const isKnown = !hasSqlState(error.cause, ...IMPOSSIBLE)
      const hint = hasSqlState(error.cause, SQL_STATE.insufficientPrivilege)
        ? 'grant execute on function listenql.publish(text, text) to the login of the server'
        : 'listenql install creates the event log'
      const answer = (reason: string) => ({
        status: isKnown ? 503 : 501,
        body: {
          status: isKnown ? 'failed' : 'not possible',
          deep: { step, reason, checkedAt, ...(!isKnown && { hint }) },
        },
      })
      return { forOperators: answer(message), forClients: answer(REASONS[step]) }
    }
  }

  async function deliver(payload: string): Promise<void> {
    const ends = new AbortController()
    const timer = setTimeout(
      () => ends.abort(new Error(`the event did not arrive within ${deadline} ms`)),
      deadline,
    )
    let arrive: () => void = () => undefined
    const arrived = new Promise<void>((resolve, reject) => {
      arrive = resolve
      ends.signal.addEventListener('abort', () => reject(ends.signal.reason), { once: true })
    })
    arrived.catch(() => undefined) // if the join or the publishing fails first
    const outbound = new Outbound(
      {
        ...options.outbound,
        limits: { maxBuffer: Number.POSITIVE_INFINITY },
        stallTimeout: deadline,
      },
      sinkOf(text => text === payload && arrive()),
      { transport: 'health', remote: 'this process' },
    )
    let subscription: SubscriptionHandle | undefined
    try {
      const joined = options.groups.join(request, { id: '', outbound }, ends.signal)
      subscription = await joined.catch(failedTo('deliver'))
      const published = publish(channel, payload, deadline)
      published.catch(() => undefined) // it may wait for a connection for longer
      await Promise.race([published, arrived]).catch(failedTo('publish'))
      await arrived.catch(failedTo('deliver'))
    } finally {
      clearTimeout(timer)
      subscription?.leave()
      outbound.close()
    }
  }

  return async showsDetails => {
    if (!latest || performance.now() >= until) {
      until = Number.POSITIVE_INFINITY // while it runs
      latest = check().finally(() => {
        until = performance.now() + interval
      })
    }
    return (await latest)[showsDetails ? 'forOperators' : 'forClients']
  }
}

function failedTo(step: Step): (error: unknown) => never {
  return error => {
    throw new Failed(step, error)
  }
}

function requestOf(channel: string, follow: DeepHealthOptions['follow']): SubscriptionRequest<unknown> {
  const source = new EventSource<LogEvent>(
    { kind: 'channel', name: channel },
    {
      open: async ({ event, end }) => follow('c', channel, { event, lost: end }),
      live: () => Promise.resolve(),
      positionOf: ({ position }) => position,
    },
  )
  const request: SubscriptionRequest<LogEvent> = {
    key: `health ${channel}`,
    bytes: 0,
    source,
    render: event => event.new ?? '',
    renderTooLarge: () => '',
    renderEnd: () => '',
    renew: () => undefined,
  }
  return request as SubscriptionRequest<unknown>
}

function sinkOf(take: (text: string) => void): Sink {
  return {
    writable: true,
    held: 0,
    frame: (_, { text }) => take(text),
    control: () => undefined,
    begin: () => undefined,
    end: () => undefined,
    cut: () => undefined,
  }
}
