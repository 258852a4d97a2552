import pg from 'pg'
import { listenForStop } from './stop-signals.js'

/** Longest that a cancellation may take before the process ends all the same, in ms. */
const DEADLINE_MS = 2000

/** The parts of pg's connection that its types leave out. */
interface Wire {
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processId: number, secretKey: number): void
}

/**
 * Runs a task on a client. A signal that asks the process to end also ends the statement that Postgres runs for it, which would
 * otherwise go on without us (Postgres notices a lost client when it has something to send). Then the signal ends the process,
 * and with its connection what was not committed.
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
    // A task that the cancellation has ended must not report that as a failure before the process ends.
    if (stop.signal.aborted) await new Promise(() => undefined)
    stop.release()
  }
}

/**
 * Sends CancelRequest over a connection of its own, as the protocol wants it
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS); poolers pass it on, which a
 * call of pg_cancel_backend would not survive. Resolves when Postgres has closed that connection, or at the deadline.
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
