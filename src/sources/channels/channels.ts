import type pg from 'pg'
import { abortable } from '../../lib/abort.js'
import type { Observe } from '../../lib/observation.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { Position } from '../../log/position.js'
import { assertChannelName } from '../../postgres/channel-name.js'
import type { ProofSender } from '../../postgres/delivery-proof.js'
import { Listener } from '../../postgres/listener.js'
import type { Replay } from '../resume.js'
import { EventSource, type Follower } from '../source.js'
import { ChannelEvent } from './channel-event.js'

export interface ChannelsOptions {
  readonly config: pg.ClientConfig
  /** See Listener. */
  readonly lend: () => Promise<ProofSender>
  /** See Listener: all in ms. */
  readonly heartbeat: number
  readonly connectTimeout: number
  readonly reconnectMax: number
  /** Brings what was published with listenql.publish. Default: notifications only. */
  readonly log?: LogFollower
  readonly observe: Observe
}

type Subscriber = Follower<ChannelEvent>

/** Somebody of our own who listens to a channel. */
export interface NotificationHandler {
  notify(payload: string): void
  /** Whether notifications are heard: from LISTEN until the connection is lost. */
  onListening(hearing: boolean): void
}

interface Channel {
  readonly subscribers: Set<Subscriber>
  readonly unfollow: Stop | undefined
  /** Subscribers, and those who still wait for LISTEN. */
  references: number
  /** Notifications were missed, and the subscribers have not been told yet. */
  owesGap: boolean
}

/**
 * Every channel as a source of events: what is sent with NOTIFY, over one LISTEN connection, and what is published with
 * listenql.publish, out of the event log. A channel is listened to while somebody is subscribed.
 */
export interface Channels {
  readonly ready: boolean
  /** The connection answers, and notifications do not arrive. */
  readonly isDeaf: boolean
  /** @throws ListenqlError CHANNEL_NAME_INVALID */
  source(name: string, after?: string): EventSource<ChannelEvent>
  /** Listens to a channel for good. */
  handle(name: string, handler: NotificationHandler): void
  /** Stops and continues reading from Postgres. */
  pause(): void
  resume(): void
  start(): void
  close(): Promise<void>
}

export function createChannels(options: ChannelsOptions): Channels {
  const { log } = options
  const channels = new Map<string, Channel>()
  const handlers = new Map<string, NotificationHandler>()
  const listener = new Listener({ ...options, onNotification, onListening, onLost })

  function onNotification(name: string, payload: string, isWhole: boolean): void {
    handlers.get(name)?.notify(payload)
    const channel = channels.get(name)
    if (!channel) return // what was under way when UNLISTEN was sent
    settleGap(name, channel)
    const unreadable = isWhole ? undefined : 'encoding'
    tell(channel, new ChannelEvent(name, isWhole ? payload : null, { unreadable }))
  }

  function onLost(): void {
    for (const handler of handlers.values()) handler.onListening(false)
    for (const channel of channels.values()) channel.owesGap = channel.subscribers.size > 0
  }

  function onListening(names: readonly string[]): void {
    for (const name of names) {
      handlers.get(name)?.onListening(true)
      const channel = channels.get(name)
      if (channel) settleGap(name, channel)
    }
  }

  /** One gap per outage, before the first event after it: a notification may overtake the answer to LISTEN. */
  function settleGap(name: string, channel: Channel): void {
    if (!channel.owesGap) return
    channel.owesGap = false
    tell(channel, new ChannelEvent(name, null, { gap: true }))
  }

  function tell(channel: Channel, event: ChannelEvent): void {
    for (const subscriber of channel.subscribers) subscriber.event(event)
  }

  /** Whoever follows the log is forgotten when its history ends: says that something was missed, and follows the next one. */
  function followLog(name: string): Stop | undefined {
    if (!log) return undefined
    let stop: Stop = () => undefined
    const follow = () => {
      stop = log.follow('c', name, {
        event(event) {
          const channel = channels.get(name)
          if (channel) tell(channel, ChannelEvent.ofLog(event, log.cursors))
        },
        lost() {
          const channel = channels.get(name)
          if (channel) tell(channel, new ChannelEvent(name, null, { gap: true, endsHistory: true }))
          follow()
        },
      })
    }
    follow()
    return () => stop()
  }

  async function open(name: string, subscriber: Subscriber, signal?: AbortSignal): Promise<Stop> {
    let channel = channels.get(name)
    if (!channel) {
      channel = { subscribers: new Set(), references: 0, owesGap: false, unfollow: followLog(name) }
      channels.set(name, channel)
    }
    const entry = channel
    entry.references++
    let stopped = false
    const stop = () => {
      if (stopped) return
      stopped = true
      entry.subscribers.delete(subscriber)
      if (--entry.references > 0) return
      channels.delete(name)
      entry.unfollow?.()
      if (!handlers.has(name)) listener.unlisten(name)
    }
    try {
      await listener.listen(name, signal)
      if (log) await abortable(log.started(), signal)
    } catch (error) {
      stop()
      throw error
    }
    entry.subscribers.add(subscriber)
    return stop
  }

  return {
    get ready() {
      return listener.ready
    },
    get isDeaf() {
      return listener.isDeaf
    },
    source(name, after) {
      assertChannelName(name)
      return new EventSource<ChannelEvent>(
        { kind: 'channel', name },
        {
          after,
          ...(log && { decode: log.cursors.decode }),
          open: (subscriber, signal) => open(name, subscriber, signal),
          live: signal => listener.whenListening(name, signal),
          positionOf: event => event.position,
          endsHistory: event => event.endsHistory,
          sizeOf: event => event.payload?.length ?? 0,
          replay: () => (log?.position ? createReplay(name, log) : undefined),
        },
      )
    },
    handle(name, handler) {
      handlers.set(name, handler)
      void listener.listen(name).then(() => handler.onListening(true))
    },
    pause: () => listener.pause(),
    resume: () => listener.resume(),
    start: () => listener.start(),
    close: () => listener.close(),
  }
}

/** Of the past there is only what was published; of plain notifications before the seam nothing is known. */
function createReplay(name: string, log: LogFollower): Replay<ChannelEvent> {
  const position = () => log.position as Position // once known, it stays
  const isOurs = (event: LogEvent) => event.kind === 'c' && event.topic === name
  return {
    position,
    start: position,
    get history() {
      return log.histories
    },
    async read(after, signal) {
      const history = log.histories
      const page = await log.read(after, signal)
      return {
        ...page,
        history,
        events: page.events.filter(isOurs).map(event => ChannelEvent.ofLog(event, log.cursors)),
      }
    },
    seam: () => [new ChannelEvent(name, null, { gap: true })],
  }
}
