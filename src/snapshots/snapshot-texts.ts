import type pg from 'pg'
import { type DatabaseText, databaseText } from '../filters/index.js'
import { isEncodingError } from '../postgres/sql-state.js'
import { databaseEncoding } from '../postgres/text-encoding.js'
import { SAVEPOINT } from './snapshot-cut.js'

/** Finds out how the databases of connections store texts. */
export interface SnapshotTexts {
  /**
   * Runs in a transaction with SAVEPOINT, and may roll back to it.
   * @param texts the texts that matter, beyond ASCII
   */
  of(client: pg.ClientBase, texts: readonly string[]): Promise<DatabaseText>
}

/** Most texts whose result is cached. */
const MAX_KNOWN_TEXTS = 10_000

export function createSnapshotTexts(): SnapshotTexts {
  const encodings = new WeakMap<pg.ClientBase, string>()
  const known = new Map<string, boolean>()

  async function encodingOf(client: pg.ClientBase): Promise<string> {
    let encoding = encodings.get(client)
    if (encoding === undefined) {
      encoding = await databaseEncoding(client)
      encodings.set(client, encoding)
    }
    return encoding
  }

  /** Only Postgres knows what it can convert. */
  async function isLacking(client: pg.ClientBase, text: string): Promise<boolean> {
    const before = known.get(text)
    if (before !== undefined) return before
    let lacks = false
    try {
      await client.query('select $1::text', [text])
    } catch (error) {
      if (!isEncodingError(error)) throw error
      lacks = true
      await client.query(`rollback to savepoint ${SAVEPOINT}`)
    }
    if (known.size >= MAX_KNOWN_TEXTS) known.clear()
    known.set(text, lacks)
    return lacks
  }

  return {
    async of(client, texts) {
      const encoding = await encodingOf(client)
      const lacking = new Set<string>()
      if (encoding !== 'UTF8') {
        for (const text of new Set(texts)) if (await isLacking(client, text)) lacking.add(text)
      }
      return databaseText(encoding, lacking)
    },
  }
}
