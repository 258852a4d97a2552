import type { ChannelEventsSubscription } from './graphql/graphql.js'
import { graphql } from './graphql/index.js'

/** What the tests' clients ask for, with the types that `npm run codegen` makes of it. */
export const channelEvents = graphql(`
  subscription ChannelEvents($name: String!) {
    channel(name: $name) {
      channel
      payload
      json
      cursor
      gap
      at
    }
  }
`)

export const listenable = graphql(`
  query Listenable {
    channels
  }
`)

export const sendNotify = graphql(`
  mutation SendNotify($channel: String!, $payload: String!) {
    notify(channel: $channel, payload: $payload)
  }
`)

export type ReceivedEvent = ChannelEventsSubscription['channel']
