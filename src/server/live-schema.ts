import type { GraphQLSchema } from 'graphql'
import { buildSchema, type SchemaLimits } from '../../schema/index.js'
import { tableTitle, type WatchedTable } from '../catalog/watched-table.js'
import { createDeferred } from '../lib/deferred.js'
import type { Observe } from '../lib/observation.js'

export interface LiveSchemaOptions {
  /** A new schema is in force from now on. Resolves when all subscriptions of the previous one have moved or ended. */
  readonly onChange: (schema: GraphQLSchema) => Promise<void>
  /** Called for each schema: a reload may change them. */
  readonly limits: () => SchemaLimits
  readonly observe: Observe
}

/** The present schema, which follows the database. */
export interface LiveSchema {
  /** Builds the schema again for these tables. */
  follow(tables: readonly WatchedTable[]): Promise<void>
  /** Resolves once the tables are known for the first time. */
  readonly known: Promise<void>
  readonly isKnown: boolean
}

export function createLiveSchema({ onChange, limits, observe }: LiveSchemaOptions): LiveSchema {
  const known = createDeferred()
  const warned = new Set<string>()
  let isKnown = false
  return {
    async follow(tables) {
      const report = (type: 'schema.renamed' | 'schema.ignored') => (message: string) => {
        if (warned.has(message)) return // each rebuild finds the same tables
        warned.add(message)
        observe({ type, message })
      }
      const schema = buildSchema({
        tables,
        limits: limits(),
        onWarning: report('schema.renamed'),
        onIgnored: report('schema.ignored'),
      })
      await onChange(schema)
      isKnown = true
      known.resolve()
      observe({ type: 'schema.built', tables: tables.map(tableTitle) })
    },
    known: known.promise,
    get isKnown() {
      return isKnown
    },
  }
}
