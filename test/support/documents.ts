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

/** A live query of the tables of the demo. */
export const livePeople = graphql(`
  subscription LivePeople($limit: Int!, $places: VisitsListFilter) {
    people(where: { visits: $places }, orderBy: [{ pk: ASC }], limit: $limit, every: 10) {
      rows {
        pk
        name
        visits(orderBy: [{ pk: DESC }]) {
          place
          person {
            name
          }
        }
        visitsAggregate {
          count
          avg {
            pk
          }
        }
      }
    }
  }
`)

/** The rows of the demo's table and their changes, for a list that is kept up to date. */
export const keptPeople = graphql(`
  subscription KeptPeople($where: PeopleFilter) {
    peopleChanged(initial: true, where: $where) {
      operation
      key {
        pk
      }
      row {
        pk
        name
        age
      }
      transaction
    }
  }
`)

export type ReceivedEvent = ChannelEventsSubscription['channel']
