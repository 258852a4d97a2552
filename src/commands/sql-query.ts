import type pg from 'pg'

/** The result of one statement. */
export interface SqlResult {
  /** The command tag of Postgres, such as `INSERT 0 1`. */
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

/** The methods that `pg` calls on the object given to `client.query()`, and the parts of its connection that are used here. */
interface Wire {
  query(text: string): void
  sendCopyFail(message: string): void
}

/**
 * A query in the simple protocol (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY)
 * for `client.query()`. pg's own query shortens "CREATE TABLE" to "CREATE", parses values, and drops the results of the
 * statements before one that fails; this one reports each result as it arrives.
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
      // ReadyForQuery follows an error of Postgres, but not an error of the connection. Settling twice does no harm.
      reject(failure)
    },
    handleReadyForQuery() {
      if (failure === undefined) resolve()
      else reject(failure)
    },
  }
  return query
}
