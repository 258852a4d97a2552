import type { Observation } from '../lib/observation.js'
import { namesWords } from '../lib/words.js'
import { withHint } from './database-voice.js'
import type { Logger } from './logger.js'

/** A line for settings that cannot be used. */
export function notReloaded(message: string, hint?: string): string {
  return withHint(`The settings were not reloaded, and the former ones stay in force: ${message}`, hint)
}

/** Logs what a reload has changed, and what it has not. */
export function settingsReloaded(
  logger: Pick<Logger, 'info' | 'warn'>,
  { changed, needsRestart, isAsked }: Extract<Observation, { type: 'settings.reloaded' }>,
): void {
  if (!isAsked) return logger.info('A file has changed: certificates, keys and documents were read again.')
  logger.info(
    changed.length === 0
      ? 'Reloaded: no option has another value; files were read again.'
      : `Reloaded: ${namesWords(changed)}.`,
  )
  if (needsRestart.length > 0)
    logger.warn(`Other values of ${namesWords(needsRestart)} need a restart; the former ones stay in force.`)
}
