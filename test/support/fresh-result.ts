import type { ShownQuery } from './cached-world.js'
import { query } from './graphql-request.js'

/** Returns what the server answers at the moment, in the form of `shownFields`. */
export async function freshResult(url: string, { query: text, variables }: ShownQuery): Promise<unknown> {
  return shownFields(await query(url, text, variables))
}

/** Removes what caches add to a result, and the cursor, which changes with every change of the database. */
export function shownFields(data: unknown): unknown {
  if (Array.isArray(data)) return data.map(shownFields)
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(
    Object.entries(data)
      .filter(([name]) => name !== '__typename' && name !== 'cursor')
      .map(([name, value]) => [name, shownFields(value)]),
  )
}
