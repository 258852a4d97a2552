import type pg from 'pg'
import { nameEverything } from '../../../schema/names/names.js'
import { readCatalog } from '../../catalog/catalog.js'

/** The GraphQL fields of the watched tables, by oid: `subscription peopleChanged, query people`. */
export async function graphqlFields(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const { tables } = nameEverything(await readCatalog(client))
  return new Map(
    tables.map(names => {
      const query = names.table.readable ? `, query ${names.queryField}` : ''
      return [names.table.relid, `subscription ${names.subscriptionField}${query}`]
    }),
  )
}
