import { OPTIONS, type Option, type OptionKey } from './options.js'

/** An option with the names that follow from its key. The type of its value is erased; OPTIONS has it. */
export interface NamedOption extends Option<unknown> {
  readonly key: OptionKey
  /** Without dashes in front: `max-buffer`. */
  readonly flag: string
  /** The variables it is read from; the first that is set wins. */
  readonly variables: readonly string[]
  readonly toml: string
}

/** Every option, in the order of the table. */
export const OPTION_LIST: readonly NamedOption[] = Object.entries(OPTIONS).map(([key, spec]) => {
  const { usualVariable, eventserv, ...option } = spec as Option<unknown>
  return {
    ...option,
    ...(eventserv !== undefined && { eventserv }),
    key: key as OptionKey,
    flag: words(key).join('-').toLowerCase(),
    toml: eventserv ?? `${key[0]?.toUpperCase()}${key.slice(1)}`,
    variables: [
      `LISTENQL_${words(key).join('_').toUpperCase()}`,
      ...(usualVariable === undefined ? [] : [usualVariable]),
      ...(eventserv === undefined ? [] : [eventservVariable(eventserv)]),
    ],
  }
})

export function optionOf(key: OptionKey): NamedOption {
  return OPTION_LIST.find(option => option.key === key)!
}

/** pg_eventserv's variable for one of its keys: `ES_HTTPPORT`. */
export function eventservVariable(toml: string): string {
  return `ES_${toml.toUpperCase()}`
}

/** Other spellings for suggestions: the key and the TOML key, which differ from the flag where pg_eventserv named the option. */
export function spellings({ key, toml }: NamedOption): string[] {
  return [key, toml]
}

function words(key: string): string[] {
  return key.split(/(?=[A-Z])/)
}
