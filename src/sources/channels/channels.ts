import { abortable } from '../../lib/abort.js'
import type { Stop } from '../../lib/stop.js'
import type { LogEvent } from '../../log/log-event.js'
import type { LogFollower } from '../../log/log-follower.js'
import type { Position } from '../../log/position.js'
import { assertChannelName } from '../../postgres/channel-name.js'
import type { Listener } from '../../postgres/listener.js'
import type { Replay } from '../resume.js'
import { EventSource, type Follower } from '../source.js'
import { ChannelEvent } from './channel-event.js'

export interface ChannelsOptions {
  /** The LISTEN connection. */
  readonly listener: Pick<Listener, 'attach' | 'listen' | 'whenListening' | 'unlisten'>
  /** Brings what was published with listenql.publish. Default: notifications only. */
  readonly log?: LogFollower
}

type Subscriber = Follower<ChannelEvent>

interface Channel {
  readonly subscribers: Set<Subscriber>
  readonly unfollow: Stop | undefined
  /** Subscribers, and those who still wait for LISTEN. */
  references: number
  /** Notifications were missed, and the subscribers have not been told yet. */
  owesGap: boolean
}

/**
 * Every channel as a source of events: what is sent with NOTIFY, over the LISTEN connection, and what is published with
 * listenql.publish, out of the event log. The server listens to a channel while the channel has subscribers.
 */
export interface Channels {
  /** @throws ListenqlError CHANNEL_NAME_INVALID */
  source(name: string, after?: string): EventSource<ChannelEvent>
}

export function createChannels({ listener, log }: ChannelsOptions): Channels {
  const channels = new Map<string, Channel>()
  listener.attach({
    onNotification(name, payload, isWhole) {
      const channel = channels.get(name)
      if (!channel) return // what was under way when UNLISTEN was sent
      settleGap(name, channel)
      const unreadable = isWhole ? undefined : 'encoding'
      tell(channel, new ChannelEvent(name, isWhole ? payload : null, { unreadable }))
    },
    onListening(names) {
      for (const name of names) {
        const channel = channels.get(name)
        if (channel) settleGap(name, channel)
      }
    },
    onLost() {
      for (const channel of channels.values()) channel.owesGap = channel.subscribers.size > 0
    },
  })

  /** One gap per outage, before the first event after it: a notification may overtake the answer to LISTEN. */
  function settleGap(name: string, channel: Channel): void {
    if (!channel.owesGap) return
    channel.owesGap = false
    tell(channel, new ChannelEvent(name, null, { gap: true }))
  }

  function tell(channel: Channel, event: ChannelEvent): void {
    for (const subscriber of channel.subscribers) subscriber.event(event)
  }

  /** The log drops its listeners when a history ends: sends a gap then, and follows the next history. */
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
      listener.unlisten(name)
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
