import type { GraphQLFormattedError } from 'graphql'
import { createDeferred } from '../../../src/lib/deferred.js'
import { messageOf } from '../../../src/lib/errors.js'
import type { ReceivedEvent } from '../documents.js'
import type { ChannelEventsSubscription } from '../graphql/graphql.js'
import { Inbox } from '../inbox.js'

/** A client of another project, with the minimal set-up in its documentation. */
export interface RealClient {
  /** Listens to a channel with the typed document `channelEvents`. */
  subscribe(channel: string): RealSubscription
  /** The query `listenable`, over the same link. */
  channels(): Promise<readonly string[] | undefined>
  /** The mutation `sendNotify`, over the same link. */
  notify(channel: string, payload: string): Promise<boolean | undefined>
  close(): void | Promise<void>
}

export interface RealSubscription {
  readonly events: Inbox<ReceivedEvent>
  readonly errors: Inbox<ReceivedError>
  /** Resolves when the client reports the end of the subscription, with or without an error. */
  readonly ended: Promise<void>
  unsubscribe(): void
}

export interface ReceivedError {
  readonly message: string
  /** `extensions.code` of a GraphQL error. */
  readonly code?: unknown
}

/**
 * @param url of the server, such as `http://localhost:7700`
 * @param fetchFn the fetch function of a client over HTTP; default: `fetch`
 */
export type ConnectClient = (url: string, fetchFn?: typeof fetch) => RealClient

/** The common part of the results of all clients. */
interface Result {
  readonly data?: ChannelEventsSubscription | null | undefined
  readonly errors?: readonly GraphQLFormattedError[] | undefined
}

/** Creates the inboxes in which an adapter stores the results and errors of its client. */
export function createReceiver() {
  const events = new Inbox<ReceivedEvent>()
  const errors = new Inbox<ReceivedError>()
  const { promise: ended, resolve: end } = createDeferred()
  return {
    received: { events, errors, ended },
    result({ data, errors: found }: Result): void {
      for (const { message, extensions } of found ?? []) errors.push({ message, code: extensions?.code })
      if (data?.channel) events.push(data.channel)
    },
    error(error: unknown): void {
      for (const { message, extensions } of graphqlErrorsOf(error))
        errors.push({ message, code: extensions?.code })
    },
    end,
  }
}

/** Clients wrap GraphQL errors differently: graphql-ws in an array, Apollo in `errors`, urql in `graphQLErrors`. */
function graphqlErrorsOf(error: unknown): { message: string; extensions?: Record<string, unknown> }[] {
  if (Array.isArray(error)) return error
  if (typeof error !== 'object' || error === null) return [{ message: String(error) }]
  if ('errors' in error && Array.isArray(error.errors)) return error.errors
  if ('graphQLErrors' in error && Array.isArray(error.graphQLErrors) && error.graphQLErrors.length > 0)
    return error.graphQLErrors
  if ('code' in error && 'reason' in error) return [{ message: `closed: ${error.code} ${error.reason}` }]
  return [{ message: messageOf(error) }]
}
