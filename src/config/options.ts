import { accessOptions } from './options/access.js'
import { databaseOptions } from './options/database.js'
import { limitsOptions } from './options/limits.js'
import { logOptions } from './options/log.js'
import type { Option } from './options/option.js'
import { serverOptions } from './options/server.js'
import { timingOptions } from './options/timing.js'
import { viewersOptions } from './options/viewers.js'
import { watchedTablesOptions } from './options/watched-tables.js'

export type { Option, OptionGroup } from './options/option.js'

/** All options. Flags, variables, TOML keys, `Settings`, checks, help and docs/configuration.md are derived from this table. */
export const OPTIONS = {
  ...databaseOptions,
  ...watchedTablesOptions,
  ...serverOptions,
  ...accessOptions,
  ...viewersOptions,
  ...limitsOptions,
  ...timingOptions,
  ...logOptions,
} as const

export type OptionKey = keyof typeof OPTIONS

/** The types of the options' values. `Settings` has the same with docstrings: it is made of this by `npm run docs`. */
export type OptionValues = {
  readonly [K in OptionKey]: (typeof OPTIONS)[K] extends Option<infer T> ? T : never
}

/** Keys of pg_eventserv without effect, with the reason; they are accepted with a warning. */
export const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  AssetsPath: 'the page is part of the program',
  DbPoolMaxConns: 'one connection listens, and only a few others are needed',
  DbPoolMaxConnLifeTime: 'the connection is kept for as long as it works',
}
