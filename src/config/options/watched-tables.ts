import { checkTablePattern } from '../checks.js'
import { diskBytes, duration, period } from '../quantity-types.js'
import { boolean, choice, list } from '../value-type.js'
import { option, optional } from './option.js'

const SECOND_MS = 1000
const HOUR_MS = 3_600_000
const MiB = 2 ** 20

/** Options of the group Watched tables. */
export const watchedTablesOptions = {
  tables: option({
    group: 'Watched tables',
    type: list('PATTERNS', checkTablePattern),
    default: [],
    example: ['people', 'chat.*', '!chat.draft'],
    help: 'Tables that the server watches, those that exist when it starts and those that are created later: names as in SQL, also with globs; ! leaves tables out, and the last pattern that matches a table decides',
  }),
  unwatchOthers: option({
    group: 'Watched tables',
    type: boolean,
    default: false,
    help: 'When the server starts, stop watching tables that --tables does not name; without this option, they stay watched',
  }),
  retention: option({
    group: 'Watched tables',
    type: period,
    default: 24 * HOUR_MS,
    help: 'Minimum time that events are kept: a client that was offline for longer reads a snapshot again',
  }),
  maxLogSize: optional({
    group: 'Watched tables',
    type: diskBytes,
    otherwise: 'no limit',
    example: 1024 * MiB,
    help: 'Size of the event log above which the server clears the oldest events, even those younger than --retention, and logs a warning',
  }),
  doorbell: option({
    group: 'Watched tables',
    type: choice(['bell', 'poll']),
    default: 'bell',
    help: 'How the server learns of events: bell waits for a NOTIFY, poll reads the event log all the time',
  }),
  poll: option({
    group: 'Watched tables',
    type: duration,
    default: 5,
    help: 'Interval at which the server reads the event log while it is awake (with --doorbell poll, always); up to twice that while most reads find events, up to 50 ms where another server leads',
  }),
  quiet: option({
    group: 'Watched tables',
    type: duration,
    default: 250,
    help: 'Time without events after which the server stops polling and waits for the bell',
  }),
  safety: option({
    group: 'Watched tables',
    type: duration,
    default: 2 * SECOND_MS,
    help: 'Interval at which the server reads the event log while it waits for the bell, so that a lost NOTIFY does no harm',
  }),
  catalogInterval: option({
    group: 'Watched tables',
    type: duration,
    default: SECOND_MS,
    help: 'Interval of the checks for tables that were watched, unwatched or altered',
  }),
  queryTimeout: option({
    group: 'Watched tables',
    type: duration,
    default: 30 * SECOND_MS,
    help: 'Longest time that a snapshot of a table may take',
  }),
  liveTimeout: option({
    group: 'Watched tables',
    type: duration,
    default: 5 * SECOND_MS,
    help: 'Longest time that reading a live query may take; beyond that, the live query ends',
  }),
  liveRefresh: optional({
    group: 'Watched tables',
    type: duration,
    otherwise: 'they are refused',
    example: 30 * SECOND_MS,
    help: 'Interval at which live queries are read again whose row-level security depends on tables that are not watched, or on functions that do not show what they read',
  }),
  policyTimeout: option({
    group: 'Watched tables',
    type: duration,
    default: 250,
    help: 'Longest time that the row-level security of a table may take for one viewer and 500 rows; beyond that, the streams of that viewer end',
  }),
} as const
