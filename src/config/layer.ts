import type { OptionKey } from './options.js'

/** A value that was given, read and checked. */
export interface Given {
  readonly value: unknown
  /** For messages: `--port`, `environment variable PORT`, `listenql.toml:3: HttpPort`. */
  readonly where: string
}

/** What one place (flags, environment, file) says. */
export type Layer = ReadonlyMap<OptionKey, Given>
