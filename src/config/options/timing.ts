import { duration } from '../quantity-types.js'
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
} as const
