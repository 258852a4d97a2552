export { LiveCacheError, type LiveCacheOptions } from '../cache/live-tables.js'
export type { Table, TableField, TableKeys, Tables } from '../cache/tables.js'
export {
  type IntrospectedTypeRef,
  type Introspection,
  type TablesOptions,
  tablesOf,
} from '../cache/tables-of.js'
export { createLiveCacheLink, type LiveCacheLink } from './live-cache-link.js'
export { typePoliciesOf } from './type-policies.js'
