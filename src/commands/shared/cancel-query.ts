import pg from 'pg'
import { listenForStop } from './stop-signals.js'

/** Longest that a cancellation may take before the process ends anyway, in ms. */
const DEADLINE_MS = 2000

/** The parts of pg's connection that its types omit. */
interface Wire {
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
}

/**
 * Runs a task on a client. A signal that asks the process to end also cancels the statement that Postgres runs for it, which would
 * otherwise go on (Postgres notices a lost client only when it has something to send). Then the signal ends the process; what was
 * not committed is rolled back.
 */
export async function cancellable<T>(
  client: pg.Client,
  config: pg.ClientConfig,
  task: () => Promise<T>,
): Promise<T> {
  const stop = listenForStop()
  stop.signal.addEventListener('abort', () => void cancel(client, config).finally(stop.raise))
  try {
    return await task()
  } finally {
    // The process ends now: the cancelled task must not report the cancellation as a failure first.
    if (stop.signal.aborted) await new Promise(() => undefined)
    stop.release()
  }
}

/**
 * Sends CancelRequest over a separate connection, as the protocol requires
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS). Poolers pass it on; with
 * pg_cancel_backend the process id would be the pooler's. Resolves when Postgres has closed that connection, or at the deadline.
 */
function cancel(client: pg.Client, { ssl, host = 'localhost', port = 5432 }: pg.ClientConfig): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number | null; secretKey: number }
  if (processID === null) return Promise.resolve()
  return new Promise(resolve => {
    const connection = new pg.Connection({ ssl })
    const wire = connection as unknown as Wire
    const send = () => wire.cancel(processID, secretKey)
    setTimeout(resolve, DEADLINE_MS)
    connection.on('error', () => resolve())
    connection.on('end', () => resolve())
    connection.on('connect', () => (ssl ? wire.requestSsl() : send()))
    connection.on('sslconnect', send)
    if (host.startsWith('/')) wire.connect(`${host}/.s.PGSQL.${port}`)
    else wire.connect(port, host)
  })
}
