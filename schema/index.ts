import type { GraphQLSchema } from 'graphql'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import { createBuilder } from './builder.js'
import { addChannels } from './channel.js'
import { passNewLabels } from './enums.js'
import { nameEverything } from './names/names.js'
import { addScalars } from './scalars.js'
import type { SchemaLimits } from './table-schema.js'
import { addTables, scalarsOf, typeTables } from './tables.js'
import { addWatchedTables } from './watched-tables.js'

export type { SchemaContext } from './context.js'
export { relationsInChanges } from './planning/relations-in-changes.js'
export type { SchemaLimits } from './table-schema.js'

export interface SchemaOptions {
  /** In any order. Default: unknown, as before the database has been reached. */
  readonly tables?: readonly WatchedTable[]
  /** Gets a line for each name that is impossible or already used in GraphQL, with the old and the new name. */
  readonly onWarning?: (message: string) => void
  /** Gets a line for each comment in Postgres that gives a name which cannot be used. Default: `onWarning` gets it. */
  readonly onIgnored?: (message: string) => void
  readonly limits?: SchemaLimits
}

/**
 * Builds the whole schema: the channels, and the fields and types of each watched table. It is an ordinary schema: any GraphQL server
 * can execute it, given a SchemaContext. No name, comment or type of a table makes it fail; `nameEverything` describes how names
 * are chosen.
 */
export function buildSchema({
  tables,
  limits = {},
  onWarning,
  onIgnored,
}: SchemaOptions = {}): GraphQLSchema {
  const names = nameEverything(tables ?? [], onWarning, onIgnored)
  const typed = typeTables(names)
  const builder = createBuilder()
  const query = builder.queryType({})
  builder.mutationType({})
  builder.subscriptionType({})
  addScalars(builder, ['DateTime', 'JSON', ...scalarsOf(typed)])
  addChannels(builder)
  addWatchedTables(builder, tables && typed)
  addTables(builder, query, typed, names.enums, limits)
  const schema = builder.toSchema({ sortSchema: false }) // columns and labels stay in their order
  passNewLabels(schema, names.enums)
  return schema
}
