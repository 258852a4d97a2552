import { SCALAR_NAMES } from '../scalars.js'

/** Names of types that no table and no enum can have, whether the schema uses them or not. */
export const RESERVED_TYPES: readonly string[] = [
  ...['Query', 'Mutation', 'Subscription', 'Int', 'Float', 'String', 'Boolean', 'ID'],
  ...['ChannelEvent', 'ChangeOperation', 'Operation', 'OrderDirection', 'WatchedColumn', 'WatchedTable'],
  ...['NullComparison', 'StringEqualityComparison', 'StringOrderComparison'],
  ...['Int', 'Float', 'String', 'Boolean', ...SCALAR_NAMES].map(name => `${name}Comparison`),
  ...SCALAR_NAMES,
]

/** Fields of Query. */
export const RESERVED_QUERY_FIELDS: readonly string[] = ['channels', 'mayPublish', 'watchedTables']

/** Fields of Subscription. */
export const RESERVED_SUBSCRIPTION_FIELDS: readonly string[] = ['channel', 'live']

/**
 * `and`, `or`, `not` belong to filters. The others are properties of every JavaScript object: graphql-js reads the fields of a variable
 * with `value[name]`, and would find these in any filter.
 */
export const RESERVED_COLUMNS: ReadonlySet<string> = new Set([
  ...['and', 'or', 'not'],
  ...Object.getOwnPropertyNames(Object.prototype),
])
