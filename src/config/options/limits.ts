import { bytes, duration } from '../quantity-types.js'
import { count } from '../value-type.js'
import { option, optional } from './option.js'

const SECOND_MS = 1000
const KiB = 2 ** 10
const MiB = 2 ** 20

/** Options of the group Limits. */
export const limitsOptions = {
  maxBuffer: option({
    group: 'Limits',
    type: bytes,
    default: 16 * MiB,
    help: 'Bytes that may wait for one connection, after the frame being sent, before it is cut off',
  }),
  maxEvent: option({
    group: 'Limits',
    type: bytes,
    default: 8 * MiB,
    help: 'Largest event that is delivered; a larger one arrives as error EVENT_TOO_LARGE',
  }),
  maxMessage: option({
    group: 'Limits',
    type: bytes,
    default: MiB,
    help: 'Largest request body or WebSocket message that is accepted from a client',
  }),
  maxHeaders: option({
    group: 'Limits',
    type: bytes,
    default: 16 * KiB,
    help: 'Largest head of a request, including the URL',
  }),
  maxUrl: option({
    group: 'Limits',
    type: bytes,
    default: 8 * KiB,
    help: 'Longest URL of a request',
  }),
  headersTimeout: option({
    group: 'Limits',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest time that a client may take to send the head of a request',
  }),
  requestTimeout: option({
    group: 'Limits',
    type: duration,
    default: 60 * SECOND_MS,
    help: 'Longest time that a client may take to send a whole request',
  }),
  idleTimeout: option({
    group: 'Limits',
    type: duration,
    default: 75 * SECOND_MS,
    help: 'How long an HTTP connection stays open after a request, for the next one; must be longer than a proxy or balancer keeps it',
  }),
  connectionInitTimeout: option({
    group: 'Limits',
    type: duration,
    default: 3 * SECOND_MS,
    help: 'Longest time from the opening of a WebSocket of graphql-ws to its connection_init',
  }),
  maxConnections: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Most connections of all clients together; further ones are refused with 503',
  }),
  maxClientMemory: optional({
    group: 'Limits',
    type: bytes,
    otherwise: 'half of the heap that Node may use',
    example: 512 * MiB,
    help: 'Most memory for all clients together: their requests, documents and variables, and the events that wait for them',
  }),
  maxConnectionsPerAddress: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most connections from one address (from one /64 network of IPv6)',
  }),
  maxConnectionsPerViewer: option({
    group: 'Limits',
    type: count,
    default: 100,
    help: 'Most WebSockets and streams of one viewer, if viewers have roles; a viewer is one claim sub, or equal claims',
  }),
  maxSubscriptionsPerConnection: option({
    group: 'Limits',
    type: count,
    default: 200,
    help: 'Most subscriptions and operations in progress on one WebSocket',
  }),
  maxSubscriptionsPerViewer: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most subscriptions of one viewer, if viewers have roles',
  }),
  subscribeRate: option({
    group: 'Limits',
    type: count,
    default: 50,
    help: 'Most operations per second, on average, that one WebSocket may start; at once as many as it may have subscriptions',
  }),
  maxDocument: option({
    group: 'Limits',
    type: bytes,
    default: 128 * KiB,
    help: 'Longest GraphQL document',
  }),
  maxTokens: option({
    group: 'Limits',
    type: count,
    default: 5000,
    help: 'Most tokens (words and signs) of a GraphQL document',
  }),
  maxDepth: option({
    group: 'Limits',
    type: count,
    default: 20,
    help: 'Deepest nesting of the fields of a GraphQL document, fragments counted where they are used',
  }),
  maxAliases: option({
    group: 'Limits',
    type: count,
    default: 50,
    help: 'Most aliases in a GraphQL operation, fragments counted where they are used',
  }),
  maxFilterDepth: option({
    group: 'Limits',
    type: count,
    default: 8,
    help: 'Deepest nesting of and, or and not in a filter',
  }),
  maxFilterConditions: option({
    group: 'Limits',
    type: count,
    default: 200,
    help: 'Most conditions in a filter, and most columns to sort by',
  }),
  maxFilterValues: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most values in all in and notIn of a filter together',
  }),
  maxFilterText: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Longest text that a filter compares with, in characters',
  }),
  maxFilterWork: option({
    group: 'Limits',
    type: count,
    default: 2_000_000,
    help: 'Most steps that the filter of a subscription may take for one event: each condition is a step, and so are 8 characters that like searches',
  }),
  filterRate: option({
    group: 'Limits',
    type: count,
    default: 20_000_000,
    help: 'Most steps per second, on average, that the filters of one viewer may take; at once twice as many',
  }),
  maxRows: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Most rows of one snapshot',
  }),
  maxSnapshot: option({
    group: 'Limits',
    type: bytes,
    default: 64 * MiB,
    help: 'Most bytes of the rows of one snapshot, as JSON',
  }),
} as const
