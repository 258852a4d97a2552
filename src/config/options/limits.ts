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
    help: 'Most bytes that may wait for one connection, in addition to the frame that is being sent; beyond that, the connection is cut off',
  }),
  maxEvent: option({
    group: 'Limits',
    type: bytes,
    default: 8 * MiB,
    help: 'Largest event that is delivered; the error EVENT_TOO_LARGE replaces a larger event',
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
    help: 'How long an HTTP connection stays open after a request, to receive the next request; must be longer than the idle timeout of a proxy or load balancer',
  }),
  connectionInitTimeout: option({
    group: 'Limits',
    type: duration,
    default: 3 * SECOND_MS,
    help: 'Longest time that a graphql-ws client may take from the opening of its WebSocket to connection_init',
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
    help: 'Most WebSockets and streams of one viewer, if viewers have roles; all clients with the same claim sub (without sub: with equal claims) are one viewer',
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
    help: 'Most operations per second, on average, that one WebSocket may start; a burst may have --max-subscriptions-per-connection operations',
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
    help: 'Deepest nesting of the fields of a GraphQL document; the fields of a fragment count at each place that uses it',
  }),
  maxAliases: option({
    group: 'Limits',
    type: count,
    default: 50,
    help: 'Most aliases in a GraphQL operation; the aliases of a fragment count at each place that uses it',
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
    help: 'Most values in all lists of in and notIn of a filter together',
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
    help: 'Most steps that the filter of a subscription may take for one event; a step is one condition, or 8 characters that like searches',
  }),
  filterRate: option({
    group: 'Limits',
    type: count,
    default: 20_000_000,
    help: 'Most steps per second, on average, that the filters of one viewer may take; a burst may have twice as many steps',
  }),
  maxRows: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Most rows of one snapshot, linked rows included',
  }),
  maxRelatedRows: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most rows of one list of linked rows, and most groups of one aggregate',
  }),
  maxRelationDepth: option({
    group: 'Limits',
    type: count,
    default: 6,
    help: 'Deepest nesting of relations in a query',
  }),
  maxRelations: option({
    group: 'Limits',
    type: count,
    default: 20,
    help: 'Most relations, conditions on relations and groups in one field of a query',
  }),
  maxLiveQueries: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Most different live queries at the same time; clients with the same query share it',
  }),
  maxLiveRows: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most rows of one list of a live query',
  }),
  maxLiveResult: option({
    group: 'Limits',
    type: bytes,
    default: MiB,
    help: 'Most bytes of the rows of a live query, as JSON',
  }),
  maxSnapshot: option({
    group: 'Limits',
    type: bytes,
    default: 64 * MiB,
    help: 'Most bytes of the rows of one snapshot, as JSON',
  }),
} as const
