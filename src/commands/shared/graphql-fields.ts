import type pg from 'pg'
import { nameEverything } from '../../../schema/names/names.js'
import { readCatalog } from '../../catalog/catalog.js'

/** The GraphQL fields of a watched table: `subscription peopleChanged, query people`; undefined: its history is incomplete. */
export async function graphqlFields(client: pg.Client, relid: string): Promise<string | undefined> {
  const { tables } = nameEverything(await readCatalog(client))
  const names = tables.find(({ table }) => table.relid === relid)
  if (!names) return undefined
  const query = names.table.readable ? `, query ${names.queryField}` : ''
  return `subscription ${names.subscriptionField}${query}`
}
