import type pg from 'pg'
import type { WatchedTable } from '../database/watched-table.js'

export async function readTables(_client: pg.Client): Promise<readonly WatchedTable[]> {
  return []
}

export async function graphqlFields(_client: pg.Client, _relid: string): Promise<string> {
  return ''
}
