import type { Observation, Observe } from '../lib/observation.js'
import type { Logger } from './logger.js'

/** Chooses what of the core's observations a log is to hold, at which level and in which words. */
export function createLogObserver(logger: Logger): Observe {
  return observation => {
    const { type: _type, ...details } = observation
    switch (observation.type) {
      case 'database.connected':
        return observation.afterAttempts > 1 || observation.channels > 0
          ? logger.info(`The database is there; listening to ${count(observation.channels, 'channel')}.`)
          : logger.debug('The database is there.')
      case 'database.lost':
        return logger.warn(
          `The database connection was lost: ${observation.message}. Subscribers stay and get a gap; connecting again.`,
        )
      case 'database.unreachable':
        return logger.warn(
          `The database cannot be reached: ${observation.message}. Next try in ${observation.retryIn} ms (attempt ${observation.attempt}).`,
        )
      case 'log.lost':
        return logger.warn(
          `The event log cannot be read: ${observation.message}. Next try in ${observation.retryIn} ms.`,
        )
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

function words(observation: Observation): string {
  return observation.type.replace('.', ' ')
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
