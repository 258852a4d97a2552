import type { OptionKey } from './options.js'

/** A value with its source, parsed and checked. */
export interface Given {
  readonly value: unknown
  /** For messages: `--port`, `environment variable PORT`, `listenql.toml:3: HttpPort`. */
  readonly where: string
}

/** The values from one source: flags, environment or file. */
export type Layer = ReadonlyMap<OptionKey, Given>
