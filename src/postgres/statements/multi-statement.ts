import pg from 'pg'
import { socketOf } from '../socket.js'

/**
 * Sends several statements in one message, without parameters, and reports their rows as they arrive, so that rows before a failing
 * statement are not lost. Rejects with the error of that statement; those after it have not been run
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
 * @param silence the connection is dropped after this many ms without a row
 * @param onRow gets the result that the row belongs to, too
 * @returns the results of the statements, without rows
 */
export function runSeveral(
  client: pg.ClientBase,
  text: string,
  silence: number,
  onRow: (row: readonly unknown[], result: unknown) => void,
): Promise<pg.QueryResult[]> {
  return new Promise((resolve, reject) => {
    const giveUp = () => socketOf(client as pg.Client).destroy()
    let timer = setTimeout(giveUp, silence)
    const query = client.query(new pg.Query<unknown[]>({ text, rowMode: 'array' } as pg.QueryArrayConfig))
    query.on('row', (row, result) => {
      clearTimeout(timer)
      timer = setTimeout(giveUp, silence)
      onRow(row as unknown as readonly unknown[], result)
    })
    query.on('end', (results: pg.QueryResult | pg.QueryResult[]) => {
      clearTimeout(timer)
      resolve([results].flat())
    })
    query.on('error', error => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

/** What one statement has returned: its rows by the names of the columns. Undefined: they have more than the allowed bytes. */
export type StatementRows = readonly Record<string, unknown>[] | undefined

/**
 * As `runSeveral`, and collects the rows.
 * @param maxBytes most bytes of the texts that one statement returns; rows beyond are dropped as they arrive
 * @param maxTotal most bytes of the texts that are held for all statements
 * @returns what the statements that return columns have returned, in their order. Undefined: they have more than `maxTotal`
 */
export async function collectSeveral(
  client: pg.ClientBase,
  text: string,
  silence: number,
  maxBytes: number,
  maxTotal: number,
): Promise<StatementRows[] | undefined> {
  const received = new Map<unknown, { rows: (readonly unknown[])[]; bytes: number }>()
  let held = 0
  let isTooMuch = false
  const results = await runSeveral(client, text, silence, (row, result) => {
    if (isTooMuch) return
    let all = received.get(result)
    if (!all) {
      all = { rows: [], bytes: 0 }
      received.set(result, all)
    }
    const before = all.bytes
    for (const value of row) if (typeof value === 'string') all.bytes += Buffer.byteLength(value)
    if (all.bytes <= maxBytes) {
      all.rows.push(row)
      held += all.bytes - before
    } else if (before <= maxBytes) {
      all.rows = []
      held -= before
    }
    isTooMuch = held > maxTotal
    if (isTooMuch) received.clear()
  })
  if (isTooMuch) return undefined
  return results
    .filter(({ fields }) => fields.length > 0)
    .map(result => {
      const { rows, bytes } = received.get(result) ?? { rows: [], bytes: 0 }
      if (bytes > maxBytes) return undefined
      const names = result.fields.map(({ name }) => name)
      return rows.map(row => Object.fromEntries(names.map((name, i) => [name, row[i]])))
    })
}

/** An array of texts in the syntax of Postgres, as a literal. */
export function textArray(items: readonly string[]): string {
  return pg.escapeLiteral(`{${items.map(item => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`)
}
