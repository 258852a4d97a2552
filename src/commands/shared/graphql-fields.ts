import type pg from 'pg'
import { nameEverything } from '../../../schema/names/names.js'
import { readCatalog } from '../../catalog/catalog.js'

/** What a watched table has become in GraphQL: `subscription peopleChanged, query people`; undefined: its history is not whole. */
export async function graphqlFields(client: pg.Client, relid: string): Promise<string | undefined> {
  const { tables } = nameEverything(await readCatalog(client))
  const names = tables.find(({ table }) => table.relid === relid)
  if (!names) return undefined
  const query = names.table.readable ? `, query ${names.queryField}` : ''
  return `subscription ${names.subscriptionField}${query}`
}
