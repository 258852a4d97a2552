import {
  COMMON_FLAGS,
  describeDefault,
  describeFlag,
  type NamedOption,
  OPTION_LIST,
  type PlainFlag,
} from '../config/index.js'
import { findCommand } from './find-command.js'
import type { Command } from './shared/command.js'

const WIDTH_COLUMNS = 96

/**
 * The text of `--help` for a command, or, without a name, for all commands.
 * @throws ListenqlError BAD_CONFIGURATION if there is no such command
 */
export function helpText(commands: readonly Command[], name?: string): string {
  return name === undefined ? overview(commands) : commandHelp(findCommand(commands, name))
}

function overview(commands: readonly Command[]): string {
  return `listenql: your Postgres, live, over GraphQL

Usage: listenql [COMMAND] [flags]

Commands
${columns(commands.map(({ name, summary }) => [name, summary]))}

${commonFlags()}

Examples
${examples(commands.flatMap(({ examples }) => examples.slice(0, 1)))}

\`listenql serve --help\` lists every option of the server, \`listenql COMMAND --help\` those of a command.
Options can also be set by environment variables and in a file: see docs/configuration.md.
`
}

function commandHelp({ usage, description, examples: lines, options, flags }: Command): string {
  const groups = new Map<string, NamedOption[]>()
  for (const option of OPTION_LIST) {
    if (options.includes(option.key)) groups.set(option.group, [...(groups.get(option.group) ?? []), option])
  }
  const parts = [
    `Usage: listenql ${usage}`,
    wrap(description, ''),
    `Examples\n${examples(lines)}`,
    ...(flags.length > 0 ? [`Flags\n${columns(flags.map(flagColumns))}`] : []),
    ...[...groups].map(([group, members]) => `${group}\n${members.map(optionHelp).join('\n')}`),
    commonFlags(),
  ]
  return `${parts.join('\n\n')}\n`
}

function optionHelp(option: NamedOption): string {
  const { variables, toml } = option
  const names = `Default: ${describeDefault(option)}. Environment: ${variables.join(', ')}. File: ${toml}.`
  return [`  ${describeFlag(option)}`, wrap(`${option.help}.`, '      '), wrap(names, '      ')].join('\n')
}

function commonFlags(): string {
  return `Everywhere\n${columns(COMMON_FLAGS.map(flagColumns))}`
}

function flagColumns({ flag, short, placeholder, help }: PlainFlag): [string, string] {
  return [`${short ? `-${short}, ` : ''}--${flag}${placeholder ? ` ${placeholder}` : ''}`, help]
}

function examples(lines: Command['examples']): string {
  return lines.map(([command, meaning]) => `  # ${meaning}\n  ${command}`).join('\n')
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}

function wrap(text: string, indent: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line === '') lines[lines.length - 1] = word
    else if (indent.length + line.length + 1 + word.length <= WIDTH_COLUMNS)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines.map(line => indent + line).join('\n')
}
