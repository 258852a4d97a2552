export { LiveCacheError, type LiveCacheOptions } from '../cache/live-tables.js'
export type { Table, TableField, TableKeys, Tables } from '../cache/tables.js'
export {
  type IntrospectedTypeRef,
  type Introspection,
  type TablesOptions,
  tablesOf,
} from '../cache/tables-of.js'
export { keysOf } from './keys.js'
export {
  type LiveCacheExchange,
  type LiveCacheExchangeOptions,
  liveCacheExchange,
} from './live-cache-exchange.js'
