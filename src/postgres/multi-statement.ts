import pg from 'pg'
import { socketOf } from './socket.js'

/**
 * Sends several statements in one message, without parameters, and reports their rows as they arrive, so that rows before a failing
 * statement are not lost. Rejects with the error of that statement; those after it have not been run.
 * @param silence the connection is dropped after this many ms without a row
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

/** An array of texts in the syntax of Postgres, as a literal. */
export function textArray(items: readonly string[]): string {
  return pg.escapeLiteral(`{${items.map(item => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`)
}
