import type { Observation, Observe } from '../lib/observation.js'
import { sizeWords } from '../lib/words.js'
import type { Logger } from './logger.js'

/** Chooses what of the core's observations a log is to hold, at which level and in which words. */
export function createLogObserver(logger: Logger): Observe {
  let wasAway = false
  let isDeafTold = false
  let isUnprovenTold = false
  return observation => {
    const { type: _type, ...details } = observation
    switch (observation.type) {
      case 'database.connected':
        isDeafTold = false
        if (!wasAway) return logger.debug('The database is there.')
        wasAway = false
        return logger.info(`The database is there; listening to ${count(observation.channels, 'channel')}.`)
      case 'database.lost':
        wasAway = true
        return logger.warn(
          `The database connection was lost: ${observation.message}. Subscribers stay and get a gap; connecting again.`,
        )
      case 'database.unreachable':
        wasAway = true
        return logger.warn(
          `The database cannot be reached: ${observation.message}. Next try in ${observation.retryIn} ms (attempt ${observation.attempt}).`,
        )
      case 'database.deaf':
        wasAway = true
        if (isDeafTold) return // one line, however often it connects again
        isDeafTold = true
        return logger.warn(deafWords(observation))
      case 'database.unproven':
        if (isUnprovenTold) return
        isUnprovenTold = true
        return logger.warn(
          `Whether notifications arrive is unproven: the server could not send one to itself (${observation.message}). It tries again with each heartbeat.`,
        )
      case 'database.heartbeat':
        return
      case 'log.lost':
        return logger.warn(
          `The event log cannot be read: ${observation.message}. Next try in ${observation.retryIn} ms.`,
        )
      case 'log.stalled':
        return logger.error(
          `The event log cannot be read any further than ${observation.place}, so that nothing after that is delivered: ${observation.message}. It is tried again and again.`,
        )
      case 'log.recovered':
        return logger.info('The event log is read again.')
      case 'event.unreadable':
        return logger.warn(unreadableWords(observation))
      case 'log.rotated':
        return logger.debug(
          `Old events were cleared: ${sizeWords(observation.droppedBytes)}; the event log has ${sizeWords(observation.bytes)} now.`,
        )
      case 'log.cap-exceeded':
        return logger.warn(capWords(observation))
      case 'log.rotation-failed':
        return logger.warn(
          `Old events cannot be cleared, the event log grows: ${observation.message}. It is tried again and again.`,
        )
      case 'catalog.absent':
        return logger.info(
          'No table is watched: there is no schema listenql yet. `listenql watch TABLE` makes it.',
        )
      case 'catalog.failed':
        return logger.warn(
          `Watched tables cannot be looked at: ${observation.message}. ${observation.hint === undefined ? '' : `${capitalised(observation.hint)}. `}It is tried again and again.`,
        )
      case 'catalog.unreadable': {
        const { what, relid, detail } = observation
        const which = what === 'table' ? `Table ${relid}` : `A column of table ${relid}`
        return logger.warn(
          `${which} is left out, since its name is no text in the encoding of the database (${detail}); rename it.`,
        )
      }
      case 'table.changed':
        return logger.info(changeWords(observation))
      case 'table.lacking':
        return logger.warn(
          `Table ${observation.table} has no whole history, so nothing of it is delivered: ${observation.detail}. Once its triggers are there and enabled it goes on by itself; \`listenql watch ${observation.table}\`, as the owner of the table, repairs them.`,
        )
      case 'policies.lost':
        return logger.warn(
          `Row-level security cannot be asked about: ${observation.message}. Next try in ${observation.retryIn} ms.`,
        )
      case 'policy.failed':
        return logger.warn(
          `The row-level security of table ${observation.table} failed for a viewer of role ${observation.role}: ${observation.message}.`,
        )
      case 'rights.failed':
        return logger.warn(
          `What roles may read cannot be looked at: ${observation.message}. It is tried again and again.`,
        )
      case 'snapshot.failed':
        return logger.warn(`A snapshot of table ${observation.table} failed: ${observation.message}.`)
      case 'schema.built':
        return logger.debug(`The schema has ${count(observation.tables, 'watched table')}.`)
      case 'schema.renamed':
        return logger.warn(observation.message)
      case 'reading.paused':
        return logger.debug(details, 'Reading from Postgres pauses until subscribers have caught up.')
      case 'reading.resumed':
        return logger.debug(`Reading from Postgres goes on after ${Math.round(observation.pausedFor)} ms.`)
      case 'event.too-large':
        return logger.warn(
          details,
          'An event was larger than --max-event; its subscribers got EVENT_TOO_LARGE.',
        )
      case 'subscriber.cut':
        return logger.warn(details, 'A subscriber that does not keep up was cut off.')
      case 'request.refused':
        return logger.warn(details, 'A request was refused.')
      case 'viewer.refused':
        return logger.info(details, 'A viewer was refused.')
      case 'viewer.ended':
        return logger.debug(details, 'What a viewer had open was ended.')
      case 'kicks.absent':
        return observation.access === 'no schema'
          ? logger.info('Nobody can be kicked: there is no schema listenql yet. `listenql install` makes it.')
          : logger.warn(KICKS_ABSENT[observation.access])
      case 'viewers.unchecked':
        return logger.warn(
          `The database does not say who was kicked and which roles may be taken: ${observation.message}. It is tried again and again; what was known stays in force.`,
        )
      case 'fault':
        return logger.error({ id: observation.id, err: observation.error }, observation.message)
      case 'channel.listening':
      case 'channel.released':
      case 'subscriber.joined':
      case 'subscriber.left':
        return logger.debug(details, words(observation))
    }
  }
}

const KICKS_ABSENT = {
  'no function':
    'Nobody can be kicked: schema listenql is of an older version. `listenql install` updates it.',
  'no right':
    'Kicks are not heard of: the login of the server may not call listenql.kicks. Run as the owner of schema listenql: listenql install --grant-to LOGIN.',
}

function words(observation: Observation): string {
  return observation.type.replace('.', ' ')
}

function unreadableWords({
  topic,
  columns,
  reason,
  place,
}: Extract<Observation, { type: 'event.unreadable' }>): string {
  const where = `an event of ${topic} (${place})`
  if (columns) {
    const what =
      columns.length === 1
        ? `The value of column ${columns[0]}`
        : `The values of columns ${columns.join(', ')}`
    return `${what} in ${where} cannot be read: it ${reason}. Clients get the error VALUE_NOT_SHOWN in its place; the rest is delivered.`
  }
  const isTable = topic.startsWith('table ')
  return `Nothing of ${where} can be read: it ${reason}. ${isTable ? 'Subscriptions of the table end with CURSOR_EXPIRED, and clients read a snapshot again' : 'Clients get the error VALUE_NOT_SHOWN in its place'}.`
}

function deafWords({ message, isPooled }: Extract<Observation, { type: 'database.deaf' }>): string {
  const cause = isPooled
    ? 'a connection pooler in transaction mode (PgBouncer or the like) is in between, which cannot carry LISTEN'
    : 'a connection pooler in transaction mode, or another proxy, may be in between'
  return `Notifications are not delivered: ${message}; ${cause}. Subscribers of channels wait. Connect to Postgres directly, with --database-url (DATABASE_URL); if only watched tables are to be served, use --doorbell poll and --channels ''. The server tries again and again.`
}

function changeWords({ table, change, detail }: Extract<Observation, { type: 'table.changed' }>): string {
  switch (change) {
    case 'generation':
      return `Table ${table} is watched in generation ${detail} from now on.`
    case 'again':
      return `Table ${table} was dropped and made again; its history begins anew.`
    case 'gone':
      return `Table ${table} was dropped. Should it be made again, it is watched again; \`listenql unwatch ${table}\` ends that.`
  }
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function capWords(cap: Extract<Observation, { type: 'log.cap-exceeded' }>): string {
  const limit = `--max-log-size (${sizeWords(cap.limit)})`
  if (cap.early === 0) {
    return `The event log has ${sizeWords(cap.bytes)}, more than ${limit}, and cannot be cleared now: ${cap.busy ?? 'it is in use'}.`
  }
  return `The event log grew beyond ${limit}: ${sizeWords(cap.droppedBytes)} of events went before --retention was over. Clients that come back from before that get CURSOR_EXPIRED and read a snapshot again.`
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
