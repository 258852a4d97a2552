import pg from 'pg'

/** What one statement of a message has returned. */
export interface StatementResult {
  /** Undefined: they have more than the allowed bytes. */
  readonly rows: readonly Record<string, unknown>[] | undefined
}

/**
 * Runs many statements in one message, so that they take one round trip. Postgres stops at the first that fails
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
 * @param sql without parameters
 * @param maxBytes most bytes of the texts that one statement returns; rows beyond are dropped as they arrive
 * @returns the results of those statements that return columns, in their order
 * @throws the error of Postgres
 */
export function runMessage(client: pg.ClientBase, sql: string, maxBytes: number): Promise<StatementResult[]> {
  return new Promise((resolve, reject) => {
    const received = new Map<unknown, { rows: Record<string, unknown>[]; bytes: number }>()
    const query = client.query(new pg.Query({ text: sql }))
    query.on('row', (row, result) => {
      let all = received.get(result)
      if (!all) {
        all = { rows: [], bytes: 0 }
        received.set(result, all)
      }
      for (const value of Object.values(row))
        if (typeof value === 'string') all.bytes += Buffer.byteLength(value)
      if (all.bytes > maxBytes) all.rows = []
      else all.rows.push(row)
    })
    query.on('end', (results: pg.QueryResult | pg.QueryResult[]) => {
      const returning = [results].flat().filter(({ fields }) => fields.length > 0)
      resolve(
        returning.map(result => {
          const { rows, bytes } = received.get(result) ?? { rows: [], bytes: 0 }
          return { rows: bytes > maxBytes ? undefined : rows }
        }),
      )
    })
    query.on('error', reject)
  })
}
