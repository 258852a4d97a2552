import type { Settings } from '../../config/index.js'
import type { Failure } from '../../lib/observation.js'
import type { ListenqlServer } from '../../server/create-server.js'
import type { Logger } from '../../telemetry/logger.js'

export interface Announcement {
  readonly server: ListenqlServer
  /** Why the database has not been reached yet; undefined: it has been reached. */
  readonly trouble: Failure | undefined
  readonly settings: Pick<Settings, 'dataDir' | 'logLevel'>
  readonly logger: Pick<Logger, 'info'>
}

/**
 * Prints where the server can be reached: on a terminal a page of text; elsewhere (a file, a container, a process manager) one
 * entry of the log, which programs can read.
 */
export function announce(announcement: Announcement): void {
  const { server, trouble, settings, logger } = announcement
  if (process.stdout.isTTY && settings.logLevel !== 'silent') process.stdout.write(welcome(announcement))
  else {
    const { url, httpsUrl, metricsUrl } = server
    const metrics = metricsUrl === undefined ? 'off (--metrics-port)' : `${metricsUrl}/metrics`
    const details = { url, httpsUrl, metrics, database: databaseWords(server), databaseReached: !trouble }
    logger.info(details, `Listening on ${url}`)
  }
}

function databaseWords({ database, embedded }: ListenqlServer): string {
  return embedded ? `embedded PostgreSQL, data in ${embedded.dataDirectory}` : database
}

function welcome({ server, trouble, settings: { dataDir } }: Announcement): string {
  const { url, httpsUrl, metricsUrl, embedded } = server
  const subscribe = (subscription: string) =>
    `curl -N -G ${url}/graphql -H 'accept: text/event-stream' --data-urlencode 'query=subscription { ${subscription} }'`
  const place = dataDir === undefined ? '' : ` --data-dir '${dataDir.replaceAll("'", "'\\''")}'`
  const rows = embedded
    ? `${subscribe('people { rows { pk name age } }')}
  Changes:    ${subscribe('peopleChanged { operation row { pk name age } }')}`
    : 'npx listenql watch TABLE makes them live and typed'
  const event = embedded
    ? `npx listenql sql "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)"${place}`
    : `npx listenql sql "NOTIFY people, 'hello'"`
  const terminal = embedded ? 'in a second terminal' : 'in a second terminal with the same DATABASE_URL'
  return `
  listenql: your Postgres, live, over GraphQL

  Database    ${databaseWords(server)}${trouble ? `\n              ${notReached(trouble)}` : ''}
  Page        ${url}/
  GraphiQL    ${url}/graphql${httpsUrl ? `\n  HTTPS       ${httpsUrl}/` : ''}
  Metrics     ${metricsUrl === undefined ? 'off; --metrics-port serves them' : `${metricsUrl}/metrics and /status`}

  Listen:     ${subscribe('channel(name:"people") { payload }')}
  Rows:       ${rows}
  Make an event, ${terminal}:
              ${event}

  Ctrl-C stops it.

`
}

function notReached({ message, hint }: Failure): string {
  return `NOT REACHED YET: ${message}${hint === undefined ? '' : `; ${hint}`}`
}
