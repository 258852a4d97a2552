import { createServer, type ListenqlServer } from '../app.js'
import type { LoadedSettings, Settings } from '../config/index.js'
import { messageOf } from '../lib/errors.js'
import { createLogger, type Logger } from '../telemetry/logger.js'
import { listenForStop } from './stop-signals.js'

/** Runs the server until a signal asks it to stop; a second signal does not wait. @returns the exit code */
export async function serveCommand({ settings, notices, warnings }: LoadedSettings): Promise<number> {
  const logger = createLogger({ level: settings.logLevel, format: settings.logFormat })
  for (const notice of notices) logger.info(notice)
  for (const warning of warnings) logger.warn(warning)

  // From the start: Ctrl-C while Postgres starts must not leave it running.
  const stop = listenForStop({ watchesParent: true })
  const { signal } = stop
  const stopped = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
  void stopped.then(() => {
    logger.info(`${messageOf(signal.reason)}: ending streams and stopping.`)
    setTimeout(() => {
      process.stderr.write(`listenql: not stopped after ${settings.shutdownTimeout} ms, giving up\n`)
      process.exit(1)
    }, settings.shutdownTimeout).unref()
  })
  try {
    const server = await createServer({ ...settings, logger, signal })
    announce(server, settings, logger)
    await stopped
    await server.close()
  } catch (error) {
    if (error !== signal.reason) throw error
  }
  logger.info('Stopped.')
  // Node aborts when it exits and cannot reset its terminal, which a SIGHUP says is gone.
  if (messageOf(signal.reason) === 'SIGHUP') stop.raise()
  return 0
}

/** Where to go: at length on a terminal, elsewhere (a file, a container, a process manager) as one entry of the log. */
function announce(server: ListenqlServer, { logLevel }: Settings, logger: Logger): void {
  const { url, httpsUrl } = server
  if (process.stdout.isTTY && logLevel !== 'silent') process.stdout.write(welcome(server))
  else logger.info({ url, httpsUrl, database: databaseWords(server) }, `Listening on ${url}`)
}

function databaseWords({ database, embedded }: ListenqlServer): string {
  return embedded ? `embedded PostgreSQL, data in ${embedded.dataDirectory}` : database
}

function welcome(server: ListenqlServer): string {
  const { url, httpsUrl, embedded } = server
  const curl = `curl -N -G ${url}/graphql -H 'accept: text/event-stream' --data-urlencode 'query=subscription { channel(name:"people") { payload } }'`
  const rows = embedded
    ? `curl -N -G ${url}/graphql -H 'accept: text/event-stream' --data-urlencode 'query=subscription { peopleChanged { operation row { pk name age } } }'`
    : 'npx listenql watch TABLE, and it is there as a live, typed subscription'
  const event = embedded
    ? `npx listenql sql "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)"`
    : `npx listenql sql "NOTIFY people, 'hello'"`
  return `
  listenql: your Postgres, live, over GraphQL

  Database    ${databaseWords(server)}
  Page        ${url}/
  GraphiQL    ${url}/graphql${httpsUrl ? `\n  HTTPS       ${httpsUrl}/` : ''}

  Listen:     ${curl}
  Rows:       ${rows}
  Make an event, in a second terminal:
              ${event}

  Ctrl-C stops it.

`
}
