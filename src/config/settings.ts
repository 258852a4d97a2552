import { ListenqlError, messageOf } from '../lib/errors.js'
import { type NamedOption, OPTION_LIST } from './names.js'
import type { OptionKey } from './options.js'
import type { Settings } from './settings-interface.js'
import { didYouMean } from './suggest.js'

/** The defaults alone. */
export const DEFAULTS = Object.fromEntries(
  OPTION_LIST.map(option => [option.key, option.default]),
) as unknown as Settings // every key, with a value of its option's type

/**
 * Settings given in code (durations in ms, sizes in bytes), checked, the rest at its default. Settings that were
 * resolved before come out as they went in.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function resolveSettings(given: Partial<Settings>): Settings {
  const values: Partial<Record<OptionKey, unknown>> = {}
  for (const [key, value] of Object.entries(given)) {
    const option = OPTION_LIST.find(one => one.key === key)
    if (!option) {
      const meant = didYouMean(
        key,
        OPTION_LIST.map(({ key, toml }) => ({ name: key, also: [toml] })),
      )
      throw new ListenqlError('BAD_CONFIGURATION', `there is no option ${key}${meant}`)
    }
    if (value === undefined) continue
    try {
      values[option.key] = option.type.check(value)
    } catch (error) {
      throw wrongValue(option, `the option ${key}`, value, error)
    }
  }
  return completeSettings(values, key => `the option ${key}`)
}

/**
 * Adds the defaults and checks what concerns several options.
 * @param values of the right types already
 * @param nameOf what an option is called where its value was given
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function completeSettings(
  values: Readonly<Partial<Record<OptionKey, unknown>>>,
  nameOf: (key: OptionKey) => string,
): Settings {
  const settings = { ...DEFAULTS, ...values } as Settings
  const { tlsCert, tlsKey, port, httpsPort, debug, logLevel } = settings
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    const [given, missing] =
      tlsCert === undefined ? (['tlsKey', 'tlsCert'] as const) : (['tlsCert', 'tlsKey'] as const)
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${nameOf(given)} is given, but ${nameOf(missing)} is not: HTTPS needs a certificate and its key`,
    )
  }
  if (tlsCert !== undefined && port === httpsPort && port !== 0) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${nameOf('httpsPort')} and ${nameOf('port')} are both ${port}: HTTP and HTTPS need a port each`,
    )
  }
  return debug && logLevel !== 'trace' ? { ...settings, logLevel: 'debug' } : settings
}

/** One line: what is wrong where. A value that may hold a password is not shown; of a list the error shows what is wrong. */
export function wrongValue(
  { secret, type }: NamedOption,
  where: string,
  value: unknown,
  error: unknown,
): ListenqlError {
  const shown = secret || type.kind === 'list' || type.kind === 'table' ? '' : ` is ${show(value)} but`
  return new ListenqlError('BAD_CONFIGURATION', `${where}${shown} ${messageOf(error)}`)
}

function show(value: unknown): string {
  const shown =
    typeof value === 'string' ? `'${value.replace(/\s+/g, ' ')}'` : (JSON.stringify(value) ?? String(value))
  return shown.length > 80 ? `${shown.slice(0, 79)}…` : shown
}
