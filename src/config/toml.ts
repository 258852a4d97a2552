import { describeFlag } from './describe.js'
import type { LoadedSettings } from './load.js'
import { type NamedOption, OPTION_LIST } from './names.js'

/**
 * The effective settings as a configuration file, with the source of each value.
 * @param head lines for the top, without `#`
 * @param hide removes the passwords from a secret value
 */
export function printSettings(
  { settings, sources }: LoadedSettings,
  head: readonly string[],
  hide: (secret: string) => string,
): string {
  return document(head, option => {
    const value: unknown = settings[option.key]
    const source = sources[option.key]
    if (value === undefined) return [`# ${option.toml} is not set: ${option.otherwise ?? 'none'}`]
    const shown = option.secret === 'all' ? '***' : option.secret ? hide(String(value)) : value
    const hidden = option.secret === 'all' ? 'value' : 'password'
    const note =
      shown === value ? '' : ` (the ${hidden} is hidden: put it back before you use this as a file)`
    return [`${assignment(option, shown)}  # ${source}${note}`]
  })
}

/** Every option with its help and default, all commented out. */
export function printExample(): string {
  const head = [
    'Configuration of listenql. Save it as ./listenql.toml or /etc/listenql.toml and remove the # from what you change.',
    'Flags and environment variables override this file. `listenql config` prints the effective configuration.',
  ]
  return document(head, option => [
    '',
    `# ${option.help}.`,
    ...(option.otherwise === undefined ? [] : [`# Not set: ${option.otherwise}.`]),
    `# ${describeFlag(option)}; ${option.variables.join(', ')}`,
    `# ${assignment(option, isNone(option.default) ? (option.example ?? option.default) : option.default)}`,
  ])
}

function document(head: readonly string[], linesOf: (option: NamedOption) => string[]): string {
  const lines = head.map(line => `# ${line}`)
  let group: string | undefined
  for (const option of OPTION_LIST) {
    if (option.group !== group) lines.push('', `### ${option.group}`)
    group = option.group
    lines.push(...linesOf(option))
  }
  return `${lines.join('\n')}\n`
}

function isNone(value: unknown): boolean {
  return (
    value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  )
}

function assignment({ toml, type }: NamedOption, value: unknown): string {
  return `${toml} = ${type.format(value as NonNullable<unknown>)}`
}
