import type { Failure, Observation, Observe } from '../lib/observation.js'
import { sizeWords } from '../lib/words.js'
import { createDatabaseVoice, withHint } from './database-voice.js'
import { createLogLimiter } from './log-limiter.js'
import type { Logger } from './logger.js'

/** Chooses what of the core's observations a log is to hold, at which level and in which words. */
export function createLogObserver(logger: Logger): Observe {
  const limited = createLogLimiter()
  const database = createDatabaseVoice(logger)
  const partFailed = (part: string, line: string, failure: Failure) =>
    database.partFailed({ ...failure, part, line })
  return observation => {
    const { type: _type, ...details } = observation
    switch (observation.type) {
      case 'database.connected':
        return database.connected(observation.channels)
      case 'database.reached':
        return database.reached()
      case 'database.lost':
        return database.lost(observation.message)
      case 'database.unreachable':
        return database.unreachable(observation)
      case 'database.deaf':
        return database.deaf(observation)
      case 'database.unproven':
        return database.unproven(observation.message)
      case 'database.heartbeat':
        return
      case 'log.lost':
        return partFailed('log', `The event log cannot be read: ${observation.message}.`, observation)
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
        return partFailed(
          'rotation',
          `Old events cannot be cleared, the event log grows: ${observation.message}.`,
          observation,
        )
      case 'catalog.absent':
        return logger.info(
          'No table is watched: there is no schema listenql yet. `listenql watch TABLE` makes it.',
        )
      case 'catalog.failed':
        return partFailed(
          'catalog',
          `Watched tables cannot be looked at: ${observation.message}.`,
          observation,
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
          `Table ${observation.table} has no whole history, so nothing of it is delivered, and streams of it have ended: ${observation.detail}. Its history begins anew by itself once that is mended: the owner of the table enables triggers that are disabled (alter table … enable trigger user), and \`listenql watch ${observation.table}\` makes those that are missing.`,
        )
      case 'policies.lost':
        return partFailed(
          'policies',
          `Row-level security cannot be asked about: ${observation.message}.`,
          observation,
        )
      case 'policy.failed':
        return logger.warn(
          `The row-level security of table ${observation.table} failed for a viewer of role ${observation.role}: ${observation.message}.`,
        )
      case 'rights.failed':
        return partFailed(
          'rights',
          `What roles may read cannot be looked at: ${observation.message}.`,
          observation,
        )
      case 'snapshot.failed':
        return logger.warn(`A snapshot of table ${observation.table} failed: ${observation.message}.`)
      case 'schema.built':
        return logger.debug(`The schema has ${count(observation.tables, 'watched table')}.`)
      case 'schema.renamed':
        // It is found at every start, and nothing is wrong: a warning would teach people to overlook warnings.
        return logger.info(observation.message)
      case 'reading.paused':
        return logger.debug(details, 'Reading from Postgres pauses until subscribers have caught up.')
      case 'reading.resumed':
        return logger.debug(`Reading from Postgres goes on after ${Math.round(observation.pausedFor)} ms.`)
      case 'event.too-large':
        return limited('event.too-large', details, (each, repeated) =>
          logger.warn(
            each,
            `An event was larger than --max-event; its subscribers got EVENT_TOO_LARGE.${repeated}`,
          ),
        )
      case 'subscriber.cut':
        if (observation.reason === 'silent')
          return logger.debug(details, 'A client that gave no sign of life was cut off.')
        return limited(`subscriber.cut ${observation.reason}`, details, (each, repeated) =>
          logger.warn(each, `A subscriber that does not keep up was cut off.${repeated}`),
        )
      case 'request.refused':
        return limited(`request.refused ${observation.status}`, details, (each, repeated) =>
          logger.warn(each, `A request was refused.${repeated}`),
        )
      case 'viewer.refused':
        return limited(`viewer.refused ${observation.code}`, details, (each, repeated) =>
          logger.info(each, `A viewer was refused.${repeated}`),
        )
      case 'viewer.ended':
        return logger.debug(details, 'What a viewer had open was ended.')
      case 'role.unusable':
        return observation.option === '--anonymous-role'
          ? logger.error(
              withHint(
                `Viewers without a token are refused: ${observation.message} (--anonymous-role)`,
                observation.hint,
              ),
            )
          : logger.warn(
              withHint(
                `Viewers cannot take a role of ${observation.option}: ${observation.message}`,
                observation.hint,
              ),
            )
      case 'role.usable':
        return logger.info(`Viewers can take role ${observation.role} of ${observation.option} now.`)
      case 'kicks.absent':
        return observation.access === 'no schema'
          ? logger.info('Nobody can be kicked: there is no schema listenql yet. `listenql install` makes it.')
          : logger.warn(KICKS_ABSENT[observation.access])
      case 'viewers.unchecked':
        return partFailed(
          'viewers',
          `The database does not say who was kicked and which roles may be taken: ${observation.message}. What was known stays in force.`,
          observation,
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
