import { resolve } from 'node:path'
import { type Environment, environmentWarnings, FILE_VARIABLE, readEnvironment } from './environment.js'
import { findFile, readFile } from './file.js'
import type { Layer } from './layer.js'
import { OPTION_LIST, optionOf } from './names.js'
import type { OptionKey } from './options.js'
import { completeSettings } from './settings.js'
import type { Settings } from './settings-interface.js'

export interface LoadedSettings {
  readonly settings: Settings
  /** The source of each value: `--port`, `environment variable PORT`, `listenql.toml:3: HttpPort`, `default`. */
  readonly sources: Readonly<Record<OptionKey, string>>
  /** The configuration file that was read, as an absolute path. Undefined: there is none. */
  readonly file: string | undefined
  /** Lines for the log, such as which file was read. */
  readonly notices: readonly string[]
  /** Lines about settings that were given without effect. */
  readonly warnings: readonly string[]
}

export interface LoadOptions {
  readonly flags: Layer
  /** Value of `--config`; the file must exist. */
  readonly file?: string | undefined
  readonly env: Environment
  readonly cwd: string
  /** Replaces `/` in absolute paths of configuration files. */
  readonly root?: string
}

/**
 * Merges the settings: flags override the environment, which overrides the file, which overrides the defaults.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function loadSettings({ flags, file, env, cwd, root }: LoadOptions): LoadedSettings {
  const environment = readEnvironment(env, new Set(flags.keys()))
  const named = file ?? (env[FILE_VARIABLE] || undefined)
  const path = named === undefined ? findFile(cwd, root) : resolve(cwd, named)
  const content = path === undefined ? undefined : readFile(path, cwd)
  const warnings = [...environmentWarnings(env), ...(content?.warnings ?? [])]
  const layers = [flags, environment, content?.layer ?? new Map()]

  const values: Partial<Record<OptionKey, unknown>> = {}
  const sources = {} as Record<OptionKey, string>
  const ranks = {} as Record<OptionKey, number>
  for (const { key } of OPTION_LIST) {
    ranks[key] = layers.findIndex(layer => layer.has(key))
    const given = layers[ranks[key]]?.get(key)
    if (given) values[key] = given.value
    else ranks[key] = layers.length
    sources[key] = given?.where ?? 'default'
  }
  const drop = (key: OptionKey, winner: OptionKey) => {
    delete values[key]
    if (key !== 'debug' && key !== 'logLevel')
      warnings.push(`${sources[key]} has no effect: ${sources[winner]} is given`)
    sources[key] = 'default'
  }

  // A directory for the embedded Postgres contradicts a URL of another database; `debug` may contradict `logLevel`.
  if (values.databaseUrl !== undefined && values.dataDir !== undefined) {
    if (ranks.dataDir < ranks.databaseUrl) drop('databaseUrl', 'dataDir')
    else drop('dataDir', 'databaseUrl')
  }
  if (values.debug === true && ranks.logLevel < ranks.debug) drop('debug', 'logLevel')
  else if (values.debug === true && values.logLevel !== 'trace') sources.logLevel = sources.debug

  const settings = completeSettings(values, key =>
    sources[key] === 'default' ? `--${optionOf(key).flag}` : sources[key],
  )
  const notices = path === undefined ? [] : [`using the configuration file ${path}`]
  return { settings, sources, file: path, notices, warnings }
}
