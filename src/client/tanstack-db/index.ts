export {
  type ListenqlCollectionConfig,
  type ListenqlCollectionOptions,
  listenqlCollectionOptions,
  type NamesOf,
  type RowKey,
} from './collection-options.js'
export type { ListenqlCollectionUtils } from './collection-utils.js'
export type { Filter } from './subset-filter.js'
export { TransactionTimeoutError } from './transaction-timeout-error.js'
