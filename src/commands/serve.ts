import { createServer, type ListenqlServer } from '../app.js'
import type { LoadedSettings } from '../config/index.js'
import { createLogger } from '../telemetry/logger.js'

/** Runs the server until SIGINT or SIGTERM; a second signal does not wait. */
export async function serveCommand({ settings, notices, warnings }: LoadedSettings): Promise<number> {
  const logger = createLogger({ level: settings.logLevel, format: settings.logFormat })
  for (const notice of notices) logger.info(notice)
  for (const warning of warnings) logger.warn(warning)

  // Heard from the start: Ctrl-C while Postgres starts must not leave it running.
  const stopped = stopSignal(settings.shutdownTimeout, signal =>
    logger.info(`${signal}: ending streams and stopping.`),
  )
  const server = await createServer({ ...settings, logger })
  if (settings.logLevel !== 'silent') process.stdout.write(welcome(server))
  await stopped
  await server.close()
  logger.info('Stopped.')
  return 0
}

function stopSignal(deadline: number, onSignal: (signal: string) => void): Promise<void> {
  return new Promise(resolve => {
    let signals = 0
    const handle = (signal: NodeJS.Signals) => {
      signals++
      if (signals > 1) process.exit(130)
      onSignal(signal)
      setTimeout(() => {
        process.stderr.write(`listenql: not stopped after ${deadline} ms, giving up\n`)
        process.exit(1)
      }, deadline).unref()
      resolve()
    }
    process.on('SIGINT', handle)
    process.on('SIGTERM', handle)
  })
}

function welcome({ url, httpsUrl, database, embedded }: ListenqlServer): string {
  const curl = `curl -N -G ${url}/graphql -H 'accept: text/event-stream' --data-urlencode 'query=subscription { channel(name:"people") { payload } }'`
  const rows = embedded
    ? `curl -N -G ${url}/graphql -H 'accept: text/event-stream' --data-urlencode 'query=subscription { peopleChanged { operation row { pk name age } } }'`
    : 'npx listenql watch TABLE, and it is there as a live, typed subscription'
  const event = embedded
    ? `npx listenql sql "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)"`
    : `npx listenql sql "NOTIFY people, 'hello'"`
  return `
  listenql: your Postgres, live, over GraphQL

  Database    ${embedded ? `embedded PostgreSQL, data in ${embedded.dataDirectory}` : database}
  Page        ${url}/
  GraphiQL    ${url}/graphql${httpsUrl ? `\n  HTTPS       ${httpsUrl}/` : ''}

  Listen:     ${curl}
  Rows:       ${rows}
  Make an event, in a second terminal:
              ${event}

  Ctrl-C stops it.

`
}
