import { createCursorCipher } from '../../src/log/cursor-cipher.js'
import type { Cursors } from '../../src/log/cursors.js'
import { encodePlain, type Position } from '../../src/log/position.js'

/** Cursors of a schema that has no key. */
export const PLAIN: Pick<Cursors, 'encode' | 'ready'> = { encode: encodePlain, ready: async () => undefined }

/** Returns the cursors of a database, with the key that the database holds. */
export async function cursorsOf(log: {
  query(sql: string): Promise<readonly Record<string, unknown>[]>
}): Promise<{ encode(position: Position): string; decode(cursor: string): Position }> {
  const [row] = await log.query('select listenql.cursor_key() as key')
  const { encrypt, decrypt } = createCursorCipher(row?.key as Buffer)
  return {
    encode: encrypt,
    decode(cursor) {
      const position = decrypt(cursor)
      if (!position) throw new Error(`${cursor} is no cursor of this database`)
      return position
    },
  }
}
