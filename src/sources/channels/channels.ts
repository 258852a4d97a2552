import { abortable } from '../../lib/abort.js'
import type { Observe } from '../../lib/observation.js'
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
  /** The source of events published with listenql.publish. Default: notifications only. */
  readonly log?: LogFollower
  /** Called for each notification of a channel that has subscribers. Default: nothing. */
  readonly onNotified?: (channel: string) => void
  readonly observe?: Observe
}

type Subscriber = Follower<ChannelEvent>

interface Channel {
  readonly subscribers: Set<Subscriber>
  readonly unfollow: Stop | undefined
  /** The number of subscribers, including those that still wait for LISTEN. */
  references: number
  /** Notifications may have been missed, and the subscribers have not got a gap yet. */
  owesGap: boolean
}

/**
 * Every channel as a source of events: notifications (NOTIFY) from the LISTEN connection, and events published with
 * listenql.publish from the event log. The server listens to a channel only while the channel has subscribers. If notifications may
 * have been missed, each subscriber gets one gap per outage, before the first event after it.
 */
export interface Channels {
  /** @throws ListenqlError CHANNEL_NAME_INVALID */
  source(name: string, after?: string): EventSource<ChannelEvent>
}

export function createChannels({ listener, log, onNotified, observe }: ChannelsOptions): Channels {
  const channels = new Map<string, Channel>()
  listener.attach({
    onNotification(name, payload, isWhole) {
      const channel = channels.get(name)
      if (!channel) return // it was on its way when UNLISTEN was sent
      onNotified?.(name)
      settleGap(name, channel)
      const unreadable = isWhole ? undefined : 'encoding'
      deliver(channel, new ChannelEvent(name, isWhole ? payload : null, { unreadable }))
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

  /** Delivers the gap of an outage. Also called before a notification is delivered, since one may arrive before the answer to LISTEN. */
  function settleGap(name: string, channel: Channel): void {
    if (!channel.owesGap) return
    channel.owesGap = false
    observe?.({ type: 'channel.gap', channel: name, cause: 'outage' })
    deliver(channel, new ChannelEvent(name, null, { gap: true }))
  }

  function deliver(channel: Channel, event: ChannelEvent): void {
    for (const subscriber of channel.subscribers) subscriber.event(event)
  }

  /** The log drops its listeners when a history ends. This listener then delivers a gap and follows the next history. */
  function followLog(name: string): Stop | undefined {
    if (!log) return undefined
    let stop: Stop = () => undefined
    const follow = () => {
      stop = log.follow('c', name, {
        event(event) {
          const channel = channels.get(name)
          if (channel) deliver(channel, ChannelEvent.ofLog(event, log.cursors))
        },
        lost() {
          const channel = channels.get(name)
          if (channel) {
            observe?.({ type: 'channel.gap', channel: name, cause: 'history' })
            deliver(channel, new ChannelEvent(name, null, { gap: true, endsHistory: true }))
          }
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
          madeAt: event => (event.position ? event.at : undefined),
          endsHistory: event => event.endsHistory,
          sizeOf: event => event.payload?.length ?? 0,
          replay: () => (log?.position ? createReplay(name, log) : undefined),
        },
      )
    },
  }
}

/** The past of a channel: its published events. Plain notifications are not kept, so the seam is a gap. */
function createReplay(name: string, log: LogFollower): Replay<ChannelEvent> {
  const position = () => log.position as Position // it was known when the replay was created, and stays known
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
