import type { Failure, Observation, Observe } from '../lib/observation.js'
import { countWords, namesWords, sizeWords } from '../lib/words.js'
import { createDatabaseVoice, withHint } from './database-voice.js'
import { createLogLimiter } from './log-limiter.js'
import type { Logger } from './logger.js'
import { notReloaded, settingsReloaded } from './settings-lines.js'

/** Chooses which observations of the core are logged, at which level and with which message. */
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
      case 'log.followed':
      case 'channel.gap':
      case 'snapshot.read':
      case 'live.read':
      case 'policies.checked':
      case 'client.error':
      case 'subscriber.caught-up':
        return // for metrics
      case 'log.lost':
        return partFailed('log', `The event log cannot be read: ${observation.message}.`, observation)
      case 'log.stalled':
        return logger.error(
          `The event log cannot be read beyond ${observation.place}, so no later event is delivered: ${observation.message}. The server keeps trying.`,
        )
      case 'log.recovered':
        return logger.info('The event log can be read again.')
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
          `Old events cannot be cleared, so the event log grows: ${observation.message}.`,
          observation,
        )
      case 'tables.watching':
        return logger.info(`Watching ${countWords(observation.tables, 'table')} of --tables.`)
      case 'tables.watched':
        return logger.info(`Watched now, as --tables says: ${namesWords(observation.tables)}.`)
      case 'tables.undeclared':
        return logger.info(
          `Watched, though --tables does not name them: ${namesWords(observation.tables)}. They stay watched; --unwatch-others or \`listenql unwatch\` ends that.`,
        )
      case 'tables.unwatched':
        return logger.info(
          `No longer watched, since --tables does not name them: ${namesWords(observation.tables)}.`,
        )
      case 'tables.unwatchable':
        return logger.warn(
          withHint(
            `--tables cannot be followed completely: ${namesWords(observation.tables)}: ${observation.message}`,
            observation.hint,
          ),
        )
      case 'tables.unmatched':
        return logger.info(
          `No table matches ${namesWords(observation.patterns)} of --tables yet. The server watches such tables when they are created.`,
        )
      case 'catalog.absent':
        return logger.info(
          'No table is watched: there is no schema listenql yet. `listenql watch TABLE` creates it.',
        )
      case 'catalog.failed':
        return partFailed(
          'catalog',
          `The list of watched tables cannot be read: ${observation.message}.`,
          observation,
        )
      case 'catalog.unreadable': {
        const { what, relid, detail } = observation
        const which = what === 'table' ? `Table ${relid}` : `A column of table ${relid}`
        return logger.warn(
          `${which} is left out, since its name is not valid text in the encoding of the database (${detail}); rename it.`,
        )
      }
      case 'table.changed':
        return logger.info(changeWords(observation))
      case 'table.lacking':
        return logger.warn(
          `Table ${observation.table} has an incomplete history, so none of its changes are delivered, and its streams have ended: ${observation.detail}. A new history begins once that is repaired: the owner of the table enables triggers that are disabled (alter table … enable trigger user), and \`listenql watch ${observation.table}\` creates those that are missing.`,
        )
      case 'policies.lost':
        return partFailed(
          'policies',
          `Row-level security cannot be evaluated: ${observation.message}.`,
          observation,
        )
      case 'policy.failed':
        return logger.warn(
          `The row-level security of table ${observation.table} failed for a viewer of role ${observation.role}: ${observation.message}.`,
        )
      case 'policy.unfollowed':
        return logger.warn(
          withHint(`Some live queries will be refused: ${observation.message}`, observation.hint),
        )
      case 'rights.failed':
        return partFailed(
          'rights',
          `The rights of roles cannot be read: ${observation.message}.`,
          observation,
        )
      case 'snapshot.failed':
        // Clients ask again and again while the database is away.
        return limited(`snapshot.failed ${observation.table}`, {}, (_, repeated) =>
          logger.warn(`A snapshot of table ${observation.table} failed: ${observation.message}.${repeated}`),
        )
      case 'settings.reloaded':
        return settingsReloaded(logger, observation)
      case 'settings.refused':
        return logger.error(notReloaded(observation.message, observation.hint))
      case 'schema.built':
        return logger.debug(`The schema has ${count(observation.tables.length, 'watched table')}.`)
      case 'schema.renamed':
        // It occurs at every start, and is no fault: a warning would teach administrators to ignore warnings.
        return logger.info(observation.message)
      case 'schema.ignored':
        return logger.warn(observation.message)
      case 'reading.paused':
        return logger.debug(details, 'Reading from Postgres pauses until subscribers have caught up.')
      case 'reading.resumed':
        return logger.debug(`Reading from Postgres resumes after ${Math.round(observation.pausedFor)} ms.`)
      case 'event.too-large':
        return limited('event.too-large', details, (each, repeated) =>
          logger.warn(
            each,
            `An event was larger than --max-event; its subscribers got EVENT_TOO_LARGE.${repeated}`,
          ),
        )
      case 'subscriber.cut':
        if (observation.reason === 'silent') return logger.debug(details, 'A silent client was cut off.')
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
        return logger.debug(
          { transport: observation.transport, remote: observation.remote, reason: observation.reason },
          'The connections and streams of a viewer were ended.',
        )
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
                `Viewers cannot use a role of ${observation.option}: ${observation.message}`,
                observation.hint,
              ),
            )
      case 'role.usable':
        return logger.info(`Viewers can use role ${observation.role} of ${observation.option} now.`)
      case 'kicks.absent':
        return observation.access === 'no schema'
          ? logger.info(
              'Viewers cannot be kicked: there is no schema listenql yet. `listenql install` creates it.',
            )
          : logger.warn(KICKS_ABSENT[observation.access])
      case 'viewers.unchecked':
        return partFailed(
          'viewers',
          `Kicks and roles cannot be read from the database: ${observation.message}. The known ones remain in force.`,
          observation,
        )
      case 'metrics.unexported':
        return limited('metrics.unexported', {}, (each, repeated) =>
          logger.warn(
            each,
            `${withHint(`Metrics could not be sent: ${observation.message}`, observation.hint)}${repeated}`,
          ),
        )
      case 'fault':
        return logger.error({ id: observation.id, err: observation.error }, observation.message)
      case 'subscriber.joined':
      case 'subscriber.left': {
        const { transport, topic, remote } = observation
        return logger.debug({ transport, topic, remote }, words(observation))
      }
      case 'channel.listening':
      case 'channel.released':
        return logger.debug(details, words(observation))
      // Only for the audit log.
      case 'operation.refused':
      case 'channel.published':
        return
      case 'audit.lost':
        return logger.warn(
          observation.lines === 0
            ? `The audit log cannot be written: ${observation.reason}. Its lines wait in memory.`
            : `${count(observation.lines, 'line')} of the audit log ${observation.lines === 1 ? 'is' : 'are'} lost: ${observation.reason}.`,
        )
    }
  }
}

const KICKS_ABSENT = {
  'no function':
    'Viewers cannot be kicked: schema listenql has an older version. `listenql install` updates it.',
  'no right':
    'The server cannot read kicks: its login may not call listenql.kicks. Run as the owner of schema listenql: listenql install --grant-to LOGIN.',
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
    return `${what} in ${where} cannot be read: it ${reason}. Clients get the error VALUE_NOT_SHOWN instead; the rest is delivered.`
  }
  const isTable = topic.startsWith('table ')
  return `No value of ${where} can be read: it ${reason}. ${isTable ? 'Subscriptions of the table end with CURSOR_EXPIRED, and clients read a snapshot again' : 'Clients get the error VALUE_NOT_SHOWN instead'}.`
}

function changeWords({ table, change, detail }: Extract<Observation, { type: 'table.changed' }>): string {
  switch (change) {
    case 'generation':
      return `Table ${table} is watched in generation ${detail} from now on.`
    case 'again':
      return `Table ${table} was dropped and created again; a new history begins.`
    case 'gone':
      return `Table ${table} was dropped. If it is created again, it is watched again; \`listenql unwatch ${table}\` ends that.`
  }
}

function capWords(cap: Extract<Observation, { type: 'log.cap-exceeded' }>): string {
  const limit = `--max-log-size (${sizeWords(cap.limit)})`
  if (cap.early === 0) {
    return `The event log has ${sizeWords(cap.bytes)}, more than ${limit}, and cannot be cleared now: ${cap.busy ?? 'it is in use'}.`
  }
  return `The event log grew beyond ${limit}: ${sizeWords(cap.droppedBytes)} of events were cleared before --retention was over. Clients with an older position get CURSOR_EXPIRED and read a snapshot again.`
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
