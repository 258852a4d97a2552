import {
  changedOptions,
  isReloadable,
  type OptionKey,
  resolveSettings,
  type Settings,
} from '../../config/index.js'
import { ListenqlError } from '../../lib/errors.js'
import { flagOf } from '../../lib/limits/limit-exceeded.js'

/**
 * Makes what one part of the server needs for other settings, and reads the files that they name.
 * @returns puts that into force; it must not throw
 * @throws ListenqlError BAD_CONFIGURATION: the settings cannot be used
 */
export type PrepareReload = (next: Settings) => () => void

/** What a reload has done. Both lists have the names of options in code, such as `maxBuffer`. */
export interface Reloaded {
  /** Options whose new values are in force now. */
  readonly changed: readonly OptionKey[]
  /** Options with new values that only a restart can put into force. The former values stay in force. */
  readonly needsRestart: readonly OptionKey[]
}

export interface ReloadOptions {
  /** The settings in force, which the parts read whenever they need one. Only reloadable ones are changed. */
  readonly settings: Settings
  readonly parts: readonly PrepareReload[]
}

/**
 * Puts other settings into force while the server runs: all of them, or none if one part cannot use them. Files are read again even if
 * no option has changed.
 * @throws ListenqlError BAD_CONFIGURATION; the former settings stay in force
 */
export function createReload({ settings, parts }: ReloadOptions): (next: Settings) => Reloaded {
  return given => {
    const differing = changedOptions(settings, given)
    const isHttpsSame = (settings.tlsCert === undefined) === (given.tlsCert === undefined)
    const canReload = (key: OptionKey) =>
      isReloadable(key) && (isHttpsSame || (key !== 'tlsCert' && key !== 'tlsKey'))
    const changed = differing.filter(canReload)
    const needsRestart = differing.filter(key => !canReload(key))
    const mixed = { ...settings, ...Object.fromEntries(changed.map(key => [key, given[key]])) }
    const next = checkMixed(mixed, needsRestart)
    const commits = parts.map(prepare => prepare(next))
    for (const key of changed) {
      // A removed option has its default, which may be undefined.
      Object.assign(settings, { [key]: next[key] })
    }
    for (const commit of commits) commit()
    return { changed, needsRestart }
  }
}

/**
 * Options that a reload changes may contradict the former values of those that need a restart.
 * @throws ListenqlError BAD_CONFIGURATION
 */
function checkMixed(mixed: Settings, needsRestart: readonly OptionKey[]): Settings {
  try {
    return resolveSettings(mixed)
  } catch (error) {
    if (!(error instanceof ListenqlError)) throw error
    const hint = `until a restart, the former values stay in force of ${needsRestart.map(flagOf).join(', ')}`
    throw new ListenqlError(error.code, error.message, { hint, cause: error })
  }
}

/** @throws ListenqlError BAD_CONFIGURATION */
export function refuseReload(what: string): never {
  throw new ListenqlError('BAD_CONFIGURATION', `${what}: this needs a restart`)
}
