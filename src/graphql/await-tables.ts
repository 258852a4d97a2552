import { BREAK, type ExecutionArgs, TypeInfo, visit, visitWithTypeInfo } from 'graphql'
import { NEEDS_TABLES } from '../../schema/watched-tables.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import type { ClientErrors } from './errors.js'
import type { Prepared } from './operation.js'

/** Whether the schema has the watched tables of the database. */
export interface SchemaState {
  readonly isKnown: boolean
  /** Resolves once it has. */
  readonly known: Promise<void>
  /** Resolves if an attempt to reach the database has failed. Undefined: the database has been reached. */
  unreached(): Promise<void> | undefined
}

/** Longest that a query or a mutation waits until the tables are known, in ms. */
const TABLES_PATIENCE_MS = 30_000

/**
 * Operations that need the watched tables wait until the tables are known for the first time: a restarted server must not refuse
 * the first clients that reconnect. These operations are those that do not fit the schema without tables, and `watchedTables`.
 * @param prepare prepares the operation under the present schema
 * @param signal aborts when the client has left
 */
export async function awaitTables(
  prepare: () => Prepared,
  { schemaState, toClientError }: { readonly schemaState: SchemaState; readonly toClientError: ClientErrors },
  signal: AbortSignal | undefined,
): Promise<Prepared> {
  const prepared = prepare()
  if (schemaState.isKnown) return prepared
  if (prepared.kind !== 'invalid') {
    if (!asksForTables(prepared.args)) return prepared
    // While the database cannot be reached, a page that shows the tables gets the reason at once.
    const unreached = schemaState.unreached()
    const answered = unreached ? Promise.race([schemaState.known, unreached]) : schemaState.known
    await abortable(answered, limit(signal)).catch(() => undefined)
    return prepare()
  }
  if (!prepared.mayFit) return prepared
  // A subscription waits as long as its client does: a client that resumes would take a refusal for the end.
  const ended = prepared.mayFit === 'subscription' && signal ? signal : limit(signal)
  await abortable(schemaState.known, ended).catch(() => undefined)
  if (schemaState.isKnown) return prepare()
  return { kind: 'invalid', errors: [toClientError(notReached())], isUnavailable: true }
}

/** Whether a valid document has a field with NEEDS_TABLES, in any of its operations and fragments. */
function asksForTables({ schema, document }: Pick<ExecutionArgs, 'schema' | 'document'>): boolean {
  const info = new TypeInfo(schema)
  let asks = false
  visit(
    document,
    visitWithTypeInfo(info, {
      Field() {
        asks = info.getFieldDef()?.extensions[NEEDS_TABLES] === true
        return asks ? BREAK : undefined
      },
    }),
  )
  return asks
}

/** Aborts with the signal, or after TABLES_PATIENCE_MS. */
function limit(signal: AbortSignal | undefined): AbortSignal {
  const patience = AbortSignal.timeout(TABLES_PATIENCE_MS)
  return signal ? AbortSignal.any([signal, patience]) : patience
}

function notReached(): ListenqlError {
  return new ListenqlError(
    'DATABASE_FAILED',
    'the database has not been reached since the server started: its tables are not known yet',
    { hint: 'try again; the log of the server has the reason' },
  )
}
