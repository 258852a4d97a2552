import { namesKeyFile } from '../../auth/token-keys.js'
import { resolveSettings, type Settings } from '../../config/index.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import { flagOf } from '../../lib/limits/limit-exceeded.js'
import type { Observe } from '../../lib/observation.js'
import type { Stop } from '../../lib/stop.js'
import type { Reloaded } from './reload.js'
import { type FileStates, stateOfFiles, watchFiles } from './watch-files.js'

export interface ReloadingOptions {
  /** The settings in force, which `reload` changes. */
  readonly settings: Settings
  /** The files that the settings name, from before they were read. */
  readonly files: FileStates
  readonly reload: (next: Settings) => Reloaded
  /** See WatchFilesOptions. */
  readonly interval?: number
  readonly observe: Observe
}

/** Reloads when asked, and when a file changes that an option names. */
export interface Reloading {
  /** @throws ListenqlError BAD_CONFIGURATION */
  reload(options: Partial<Settings>): Reloaded
  /** Stops watching the files. */
  readonly stop: Stop
}

export function createReloading(options: ReloadingOptions): Reloading {
  const { settings, files, reload, interval, observe } = options
  /** Why the last attempt after the change of a file has failed; each further one is made in silence if the reason is the same. */
  let reported: string | undefined

  function run(next: () => Settings, isAsked: boolean): Reloaded {
    try {
      const given = next()
      watch.note(filesOf(given))
      const result = reload(given)
      const [changed, needsRestart] = [result.changed.map(flagOf), result.needsRestart.map(flagOf)]
      reported = undefined
      observe({ type: 'settings.reloaded', changed, needsRestart, isAsked })
      return result
    } catch (error) {
      const hint = error instanceof ListenqlError ? error.hint : undefined
      const message = messageOf(error)
      if (isAsked || message !== reported) observe({ type: 'settings.refused', message, hint })
      if (!isAsked) reported = message
      throw error
    }
  }

  const watch = watchFiles({
    known: files,
    ...(interval !== undefined && { interval }),
    files: () => filesOf(settings),
    onChange() {
      try {
        run(() => ({ ...settings }), false)
        return true
      } catch {
        return false // it has been observed
      }
    },
  })
  return {
    reload: options => run(() => resolveSettings(options), true),
    stop: watch.stop,
  }
}

/** To be called before the files are read: a later change is noticed. */
export function readFileStates(settings: Settings): FileStates {
  return stateOfFiles(filesOf(settings))
}

/** The files that a server reads again when they change. */
function filesOf({ tlsCert, tlsKey, jwtSecretFile, jwtPublicKey, trustedDocuments }: Settings): string[] {
  const keyFile = jwtPublicKey !== undefined && namesKeyFile(jwtPublicKey) ? jwtPublicKey : undefined
  return [tlsCert, tlsKey, jwtSecretFile, keyFile, trustedDocuments].filter(file => file !== undefined)
}
