import { ListenqlError, messageOf } from '../lib/errors.js'
import { type NamedOption, OPTION_LIST } from './names.js'
import type { OptionKey } from './options.js'
import type { Settings } from './settings-interface.js'
import { didYouMean } from './suggest.js'
import { formatDuration } from './units.js'

/** The default settings. */
export const DEFAULTS = Object.fromEntries(
  OPTION_LIST.map(option => [option.key, option.default]),
) as unknown as Settings // every key, with a value of its option's type

/**
 * Checks settings given in code (durations in ms, sizes in bytes) and adds the defaults. Settings that were resolved before
 * stay the same.
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
 * Adds the defaults and checks rules across several options.
 * @param values already of the right types
 * @param nameOf names an option in messages, as it was given
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function completeSettings(
  values: Readonly<Partial<Record<OptionKey, unknown>>>,
  nameOf: (key: OptionKey) => string,
): Settings {
  const settings = { ...DEFAULTS, ...values } as Settings
  const { tlsCert, tlsKey, port, httpsPort, metricsPort, debug, logLevel } = settings
  const { tables, unwatchOthers, drain, shutdownTimeout } = settings
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
  if (unwatchOthers && tables.length === 0) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${nameOf('unwatchOthers')} is given, but ${nameOf('tables')} is not: it would stop watching every table`,
      { hint: 'to stop watching tables once: listenql unwatch --all' },
    )
  }
  if (tables.length > 0 && tables.every(pattern => pattern.startsWith('!'))) {
    throw new ListenqlError('BAD_CONFIGURATION', `${nameOf('tables')} only says which tables are left out`, {
      hint: `say from which tables, first: *.*, ${tables[0]}`,
    })
  }
  if (settings.trustedDocumentsOnly) checkTrustedDocumentsOnly(settings, nameOf)
  if (drain > 0 && drain >= shutdownTimeout) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${nameOf('drain')} is ${formatDuration(drain)}, which leaves no time to stop within ${nameOf('shutdownTimeout')} (${formatDuration(shutdownTimeout)}): make ${nameOf('shutdownTimeout')} longer`,
    )
  }
  const sharing = (['port', 'httpsPort'] as const).find(
    key => settings[key] === metricsPort && (key === 'port' || tlsCert !== undefined),
  )
  if (metricsPort !== undefined && metricsPort !== 0 && sharing !== undefined) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${nameOf('metricsPort')} and ${nameOf(sharing)} are both ${metricsPort}: metrics need a port of their own`,
      { hint: 'choose another port, such as 9464' },
    )
  }
  return debug && logLevel !== 'trace' ? { ...settings, logLevel: 'debug' } : settings
}

function checkTrustedDocumentsOnly(
  { trustedDocuments, persistedQueries }: Settings,
  nameOf: (key: OptionKey) => string,
): void {
  const only = nameOf('trustedDocumentsOnly')
  if (trustedDocuments === undefined)
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${only} is given, but ${nameOf('trustedDocuments')} is not: every document would be refused`,
    )
  if (persistedQueries !== undefined)
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `${only} and ${nameOf('persistedQueries')} exclude each other: documents that clients register are not trusted`,
    )
}

/**
 * One line: which value is wrong and why. It never shows a value that may hold a password, nor a whole list, whose error names
 * the item.
 */
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
