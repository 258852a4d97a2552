import { type CursorCipher, createCursorCipher } from '../../src/log/cursor-cipher.js'
import { decodePlain, type Position } from '../../src/log/position.js'
import type { Query } from './database.js'

let cipher: CursorCipher | undefined

/** Reads the key of cursors, because the verdict compares the order of the positions in them. */
export async function learnCursors(query: Query): Promise<void> {
  const [row] = await query<{ key: Buffer }>('select listenql.cursor_key() as key')
  cipher = createCursorCipher(row?.key as Buffer)
}

/** The tests of the verdict use plain cursors. */
export function positionOf(cursor: string): Position {
  return cipher?.decrypt(cursor) ?? decodePlain(cursor)
}
