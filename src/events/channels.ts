import type pg from 'pg'
import { Listener } from '../database/listener.js'
import type { Observe } from '../lib/observation.js'
import { ChannelEvent } from './channel-event.js'
import { assertChannelName } from './channel-name.js'
import { EventSource, type Stop } from './source.js'

export interface ChannelsOptions {
  readonly config: pg.ClientConfig
  /** See Listener: all in ms. */
  readonly heartbeat: number
  readonly connectTimeout: number
  readonly reconnectMax: number
  readonly observe: Observe
}

type Subscriber = (event: ChannelEvent) => void

interface Channel {
  readonly subscribers: Set<Subscriber>
  /** Subscribers, and those who still wait for LISTEN. */
  references: number
  /** Notifications were missed, and the subscribers have not been told yet. */
  owesGap: boolean
}

/** Every NOTIFY channel as a source of events, over one LISTEN connection; a channel is listened to while somebody is subscribed. */
export interface Channels {
  readonly ready: boolean
  /** @throws ListenqlError CHANNEL_NAME_INVALID */
  source(name: string): EventSource<ChannelEvent>
  /** Stops and continues reading from Postgres. */
  pause(): void
  resume(): void
  start(): void
  close(): Promise<void>
}

export function createChannels(options: ChannelsOptions): Channels {
  const channels = new Map<string, Channel>()
  const listener = new Listener({ ...options, onNotification, onListening, onLost })

  function onNotification(name: string, payload: string): void {
    const channel = channels.get(name)
    if (!channel) return // what was under way when UNLISTEN was sent
    settleGap(name, channel)
    const event = new ChannelEvent(name, payload)
    for (const subscriber of channel.subscribers) subscriber(event)
  }

  function onLost(): void {
    for (const channel of channels.values()) channel.owesGap = channel.subscribers.size > 0
  }

  function onListening(names: readonly string[]): void {
    for (const name of names) {
      const channel = channels.get(name)
      if (channel) settleGap(name, channel)
    }
  }

  /** One gap per outage, before the first event after it: a notification may overtake the answer to LISTEN. */
  function settleGap(name: string, channel: Channel): void {
    if (!channel.owesGap) return
    channel.owesGap = false
    const event = new ChannelEvent(name, null, true)
    for (const subscriber of channel.subscribers) subscriber(event)
  }

  async function open(name: string, subscriber: Subscriber, signal?: AbortSignal): Promise<Stop> {
    let channel = channels.get(name)
    if (!channel) {
      channel = { subscribers: new Set(), references: 0, owesGap: false }
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
      listener.unlisten(name)
    }
    try {
      await listener.listen(name, signal)
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
    source(name) {
      assertChannelName(name)
      return new EventSource<ChannelEvent>(
        { kind: 'channel', name },
        {
          open: (subscriber, signal) => open(name, subscriber, signal),
          live: signal => listener.whenListening(name, signal),
        },
      )
    },
    pause: () => listener.pause(),
    resume: () => listener.resume(),
    start: () => listener.start(),
    close: () => listener.close(),
  }
}
