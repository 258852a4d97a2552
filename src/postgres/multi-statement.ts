import pg from 'pg'
import { socketOf } from './socket.js'

/**
 * Sends several statements in one message, without parameters, and hands on their rows as they come, so that what came
 * before a statement that fails is not lost. Rejects with the error of that one; those behind it have not been run.
 * @param silence after so many ms without a row the connection is given up
 */
export function runSeveral(
  client: pg.ClientBase,
  text: string,
  silence: number,
  onRow: (row: readonly unknown[]) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => socketOf(client as pg.Client).destroy()
    let timer = setTimeout(giveUp, silence)
    const query = client.query(new pg.Query<unknown[]>({ text, rowMode: 'array' } as pg.QueryArrayConfig))
    query.on('row', row => {
      clearTimeout(timer)
      timer = setTimeout(giveUp, silence)
      onRow(row as unknown as readonly unknown[])
    })
    query.on('end', () => {
      clearTimeout(timer)
      resolve()
    })
    query.on('error', error => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

/** An array of texts as Postgres reads it, as a literal. */
export function textArray(items: readonly string[]): string {
  return pg.escapeLiteral(`{${items.map(item => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`)
}
