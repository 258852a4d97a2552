import { duration, patience } from '../quantity-types.js'
import { option } from './option.js'

const SECOND_MS = 1000

/** Options of the group Timing. */
export const timingOptions = {
  stallTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest time that a connection may make no progress while data waits for it; then the connection is cut off',
  }),
  keepAlive: option({
    group: 'Timing',
    type: duration,
    default: 12 * SECOND_MS,
    help: 'Interval of pings on a WebSocket and of keep-alives on an event stream',
  }),
  heartbeat: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Interval of the checks that the LISTEN connection is alive',
  }),
  connectTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest wait for the database to accept a connection',
  }),
  reconnectMax: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest pause between two attempts to reconnect to the database',
  }),
  shutdownTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest time that stopping may take',
  }),
  drain: option({
    group: 'Timing',
    type: patience,
    default: 0,
    help: 'Time over which a stopping server ends the connections of its clients, one after the other, as a part of --shutdown-timeout; meanwhile /readyz is 503, and new clients are still served, since load balancers and Kubernetes send some for a few seconds more',
  }),
} as const
