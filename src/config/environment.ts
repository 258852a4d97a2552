import type { Given } from './layer.js'
import { eventservVariable, type NamedOption, OPTION_LIST, spellings } from './names.js'
import type { OptionKey } from './options.js'
import { WITHOUT_MEANING } from './options.js'
import { wrongValue } from './settings.js'
import { didYouMean } from './suggest.js'

export type Environment = Readonly<Record<string, string | undefined>>

/** Names the configuration file, as `--config` does. */
export const FILE_VARIABLE = 'LISTENQL_CONFIG'

/**
 * The values that the environment gives to options that are not in `decided`. Decided ones are not even parsed, so that
 * `--port 7800` works although another program's PORT is invalid here. An empty variable counts as not set.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function readEnvironment(env: Environment, decided: ReadonlySet<OptionKey>): Map<OptionKey, Given> {
  const layer = new Map<OptionKey, Given>()
  for (const option of OPTION_LIST) {
    const variable = option.variables.find(name => env[name])
    if (variable === undefined || decided.has(option.key)) continue
    const where = `environment variable ${variable}`
    const text = env[variable] ?? ''
    try {
      layer.set(option.key, { value: option.type.parse(listSyntax(option, variable, text)), where })
    } catch (error) {
      throw wrongValue(option, where, text, error)
    }
  }
  return layer
}

/** pg_eventserv splits lists in variables at white space. */
function listSyntax({ type, eventserv }: NamedOption, variable: string, text: string): string {
  const isEventserv = eventserv !== undefined && variable === eventservVariable(eventserv)
  return isEventserv && type.kind === 'list' ? text.trim().replace(/\s+/g, ',') : text
}

/** A line for every variable that looks like one of listenql or pg_eventserv but has no effect. */
export function environmentWarnings(env: Environment): string[] {
  const known = OPTION_LIST.flatMap(option =>
    option.variables.map(name => ({ name, also: spellings(option).map(one => prefixOf(name) + one) })),
  )
  const warnings: string[] = []
  for (const name of Object.keys(env).sort()) {
    if (!/^(LISTENQL|ES)_/.test(name) || !env[name] || name === FILE_VARIABLE) continue
    if (known.some(one => one.name === name)) continue
    const key = Object.keys(WITHOUT_MEANING).find(one => eventservVariable(one) === name)
    warnings.push(
      key === undefined
        ? `environment variable ${name} is not known and has no effect${didYouMean(name, known)}`
        : `environment variable ${name} has no effect: ${WITHOUT_MEANING[key]}`,
    )
  }
  return warnings
}

function prefixOf(variable: string): string {
  return /^(LISTENQL|ES)_/.exec(variable)?.[0] ?? ''
}
