import { type ChannelContents, type ChannelEventsOptions, channelEvents } from '../channel/channel-events.js'
import { type HookOptions, type LiveResult, useLiveStore } from './use-live-store.js'

/** Options of `useChannel`. */
export type UseChannelOptions = HookOptions & Pick<ChannelEventsOptions, 'limit' | 'after'>

const EMPTY = { events: [] }

/**
 * The last events on a channel, newest last. A component is not rendered for each event of a burst, but has all of them; to call a
 * function for each, use `channelEvents` in an effect.
 *
 * @param name of the channel; nothing is subscribed while it is null or undefined
 */
export function useChannel(
  name: string | null | undefined,
  { client, limit, after }: UseChannelOptions = {},
): ChannelContents & LiveResult {
  return useLiveStore<ChannelContents>(
    {
      key: name == null ? undefined : JSON.stringify(['channel', name, limit, after]),
      kind: undefined, // events of another channel do not stand for those of this one
      create: own => channelEvents(own, { name: name as string, limit, after }),
      empty: EMPTY,
    },
    client,
  )
}
