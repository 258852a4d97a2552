import type { ChannelEventsSubscription } from './graphql/graphql.js'
import { graphql } from './graphql/index.js'

/** Documents that the tests' clients execute, with the types that `npm run codegen` generates. */
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
