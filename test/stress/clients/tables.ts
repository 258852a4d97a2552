import type { StressDatabase } from '../database.js'
import type { Tables } from './helper.js'

/** Reads the tables as they are, with the names of GraphQL. */
export async function readTables(query: StressDatabase['query']): Promise<Tables> {
  const [read] = await query<{ accounts: Tables['accounts']; owners: Tables['owners'] }>(`select
    (select json_agg(json_build_object('id', id, 'branch', branch, 'balance', balance, 'born', born, 'version', version,
      'digest', digest, 'page', page, 'ownerId', owner_id, 'label', label) order by id) from accounts) as accounts,
    (select coalesce(json_agg(json_build_object('id', id, 'name', name) order by id), '[]') from owners) as owners`)
  return read as Tables
}
