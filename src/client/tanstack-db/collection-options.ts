import {
  type BaseCollectionConfig,
  type CollectionConfig,
  type InferSchemaOutput,
  type StandardSchema,
  withCollectionConfigFactory,
} from '@tanstack/db'
import type { SubscribingClient } from '../subscription/subscribing-client.js'
import { changesDocument, filterTypeOf } from './changes-document.js'
import { createCollectionSync } from './collection-sync.js'
import type { ListenqlCollectionUtils } from './collection-utils.js'
import { rowKeyOf } from './row-key.js'
import type { Filter } from './subset-filter.js'

/** A key of a collection: the value of the key column if it is a string or a number, else its JSON; the JSON of several as an array. */
export type RowKey = string | number

/** The options of a collection of TanStack DB, such as `id`, `schema`, `onInsert` and `gcTime`, and those for listenql. */
export interface ListenqlCollectionConfig<Row extends object, Schema extends StandardSchema<unknown> = never>
  extends Omit<BaseCollectionConfig<Row, RowKey, Schema, ListenqlCollectionUtils>, 'getKey' | 'utils'> {
  /** A client of `createClient` of `listenql/client`. Several collections share it. */
  readonly client: SubscribingClient
  /** The name of the table in GraphQL, as in the query: `people`, `chatMessages`. */
  readonly table: string
  /** The names of the key columns in GraphQL, those of `PeopleKey`. Default: `id`. */
  readonly key?: NamesOf<Row>
  /** The names of the other columns of a row in GraphQL. */
  readonly columns: readonly (keyof Row & string)[]
  /** Which rows, in the form of the argument `where` of the table. Default: all. */
  readonly where?: Filter
  /** The type of `where`, if it is not that of the table's name: `PeopleFilter` for `people`. */
  readonly filterType?: string
  /** How long `awaitTransaction` waits while the collection is live, in ms. Default: 5,000. */
  readonly timeout?: number
}

/** One name or several. */
export type NamesOf<Row> = (keyof Row & string) | readonly (keyof Row & string)[]

/** The options for `createCollection` of TanStack DB. */
export type ListenqlCollectionOptions<
  Row extends object,
  Schema extends StandardSchema<unknown> = never,
> = Omit<CollectionConfig<Row, RowKey, Schema, ListenqlCollectionUtils>, 'utils'> & {
  readonly utils: ListenqlCollectionUtils
}

/**
 * Options for a collection of TanStack DB that is equal to the rows of a watched table, or of those that match `where`. Each
 * transaction of the database is one transaction of the collection. After a lost connection nothing is lost and nothing is applied
 * twice; where the position has expired, the rows are read again. If the first read fails for good, the collection gets the error.
 *
 * With `syncMode: 'on-demand'` only the rows are loaded that live queries ask for: conditions with `eq`, `inArray`, `isNull`, `like`,
 * numbers in `gt`, `gte`, `lt` and `lte`, and `and`, `or` and `not` of these are translated into `where`. Other conditions are
 * ignored when loading, so that more rows arrive than needed, never fewer.
 *
 * @throws TypeError if a name is not one of GraphQL
 */
export function listenqlCollectionOptions<Schema extends StandardSchema<unknown>>(
  config: ListenqlCollectionConfig<InferSchemaOutput<Schema>, Schema> & { schema: Schema },
): ListenqlCollectionOptions<InferSchemaOutput<Schema>, Schema> & { schema: Schema }
/** Without a schema, give the type of the rows: `listenqlCollectionOptions<Person>({ … })`. */
export function listenqlCollectionOptions<Row extends object>(
  config: ListenqlCollectionConfig<Row> & { schema?: never },
): ListenqlCollectionOptions<Row> & { schema?: never }
export function listenqlCollectionOptions<Row extends object>(
  config: ListenqlCollectionConfig<Row>,
): ListenqlCollectionOptions<Row> {
  const {
    client,
    table,
    key: keyNames = 'id',
    columns: names,
    where,
    filterType = filterTypeOf(table),
    timeout = 5_000,
    ...rest
  } = config
  const key = typeof keyNames === 'string' ? [keyNames] : keyNames
  const selection = { table, key, columns: [...new Set([...key, ...names])], filterType }
  // So that a wrong name is an error here, not when the collection starts.
  changesDocument(selection, where !== undefined)
  const keyOf = rowKeyOf(key)
  const { sync, utils } = createCollectionSync<Row>({
    client,
    selection,
    keyOf,
    where,
    timeout,
    isOnDemand: rest.syncMode === 'on-demand',
  })
  const options: ListenqlCollectionOptions<Row> = { ...rest, getKey: keyOf, sync, utils }
  // A DbClient makes collections of its own from these options, for which nothing may be shared.
  return withCollectionConfigFactory(options, () =>
    listenqlCollectionOptions<Row>(config as typeof config & { schema?: never }),
  )
}
