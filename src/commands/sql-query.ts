import type pg from 'pg'

/** What one statement gave. */
export interface SqlResult {
  /** As Postgres words it, such as `INSERT 0 1`. */
  readonly tag: string
  /** Undefined if the statement returns no rows. */
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[] | undefined
  /** Values as Postgres' own text. */
  readonly rows: readonly (readonly (string | null)[])[]
}

export interface SimpleQuery extends pg.Submittable {
  /** Settles when Postgres is ready for the next query; rejects with its error, or that of the connection. */
  readonly done: Promise<void>
}

/** What `pg` calls on the object that is handed to `client.query()`, and the parts of its connection used here. */
interface Wire {
  query(text: string): void
  sendCopyFail(message: string): void
}

/**
 * A query in the simple protocol (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY)
 * for `client.query()`. pg's own keeps of "CREATE TABLE" only "CREATE", parses values, and drops the results of the
 * statements before one that fails; this one hands on each result as it comes.
 */
export function createSimpleQuery(
  sql: string,
  handlers: { onResult: (result: SqlResult) => void; onCopyData: (chunk: Buffer) => void },
): SimpleQuery {
  let fields: SqlResult['fields']
  let rows: (string | null)[][] = []
  let failure: unknown
  let resolve: () => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const done = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  const query = {
    done,
    submit(connection: unknown) {
      ;(connection as Wire).query(sql)
    },
    handleRowDescription(message: { fields: NonNullable<SqlResult['fields']> }) {
      fields = message.fields
    },
    handleDataRow(message: { fields: (string | null)[] }) {
      rows.push(message.fields)
    },
    handleCommandComplete(message: { text: string }) {
      handlers.onResult({ tag: message.text, fields, rows })
      fields = undefined
      rows = []
    },
    handleEmptyQuery() {},
    handleCopyInResponse(connection: Wire) {
      connection.sendCopyFail('listenql sql sends no data for COPY FROM STDIN')
    },
    handleCopyData(message: { chunk: Buffer }) {
      handlers.onCopyData(message.chunk)
    },
    handleError(error: unknown) {
      failure ??= error
      // An error of Postgres is followed by ReadyForQuery; one of the connection is not. Settling twice does no harm.
      reject(failure)
    },
    handleReadyForQuery() {
      if (failure === undefined) resolve()
      else reject(failure)
    },
  }
  return query
}
