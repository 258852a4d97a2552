import type { ValueType } from '../value-type.js'

export type OptionGroup =
  | 'Database'
  | 'Watched tables'
  | 'Server'
  | 'Access'
  | 'Viewers'
  | 'Limits'
  | 'Timing'
  | 'Log'

/**
 * One option. Its flag, LISTENQL_* variable and TOML key follow from its key in the table: `maxBuffer` is `--max-buffer`,
 * `LISTENQL_MAX_BUFFER` and `MaxBuffer`.
 */
export interface Option<T> {
  readonly group: OptionGroup
  readonly type: ValueType<NonNullable<T>>
  readonly default: T
  /** Describes what applies if the default is undefined. */
  readonly otherwise?: string
  /** For the example file, if there is no default to show. */
  readonly example?: T
  /** One line. */
  readonly help: string
  readonly short?: string
  /** The variable that many programs use for this; LISTENQL_* is more specific and takes precedence. */
  readonly usualVariable?: string
  /** pg_eventserv's key. It is the TOML key, too, and its ES_* variable is read. */
  readonly eventserv?: string
  /** Contains passwords, which are never shown; `all`: it is a secret itself, and not shown at all. */
  readonly secret?: boolean | 'all'
}

export function option<T>(
  spec: Omit<Option<T>, 'type' | 'default'> & { type: ValueType<T>; default: NoInfer<T> },
): Option<T> {
  return spec as Option<T>
}

export function optional<T>(
  spec: Omit<Option<T>, 'type' | 'default' | 'otherwise' | 'example'> & {
    type: ValueType<T>
    otherwise: string
    example: NoInfer<T>
  },
): Option<T | undefined> {
  return { ...spec, type: spec.type as ValueType<NonNullable<T>>, default: undefined }
}
