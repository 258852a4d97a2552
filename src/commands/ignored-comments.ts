import type pg from 'pg'
import { nameEverything } from '../../schema/names/names.js'
import { readCatalog } from '../catalog/catalog.js'
import { readAccess } from '../catalog/catalog-access.js'

/** The comments on watched tables, columns and foreign keys that give names which cannot be used, a line each. */
export async function ignoredComments(client: pg.Client): Promise<string[]> {
  const { mayRead } = await readAccess(client)
  if (!mayRead) return [] // the server of this login has no tables either, and says so
  const lines: string[] = []
  nameEverything(await readCatalog(client), undefined, line => lines.push(line))
  return lines.map(line => `${line.charAt(0).toUpperCase()}${line.slice(1)}`)
}
