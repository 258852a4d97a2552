import { loadSettings, parseFlags } from '../config/index.js'
import { ListenqlError } from '../lib/errors.js'
import { version } from '../telemetry/version.js'
import { findCommand } from './find-command.js'
import { helpText } from './help.js'
import type { Command, Streams } from './shared/command.js'
import { endWithReaders } from './shared/end-with-readers.js'
import { COMMANDS } from './table.js'

/**
 * Runs the command that the command line names.
 * @param argv without node and script
 * @returns the exit code
 * @throws ListenqlError BAD_CONFIGURATION if the command line is invalid; any error of the command
 */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const [first = ''] = argv
  const isNamed = first !== '' && !first.startsWith('-')
  const command = findCommand(COMMANDS, isNamed ? first : (COMMANDS[0]?.name ?? ''))
  const parsed = parseFlags(argv.slice(isNamed ? 1 : 0), { keys: command.options, plain: command.flags })
  const { stdin, stdout, stderr, env } = process
  endWithReaders(command)

  if (parsed.plain.has('help')) {
    stdout.write(helpText(COMMANDS, isNamed ? command.name : undefined))
    return 0
  }
  if (parsed.plain.has('version')) {
    stdout.write(`listenql ${version()}\n`)
    return 0
  }
  checkWords(command, parsed.words)
  const streams: Streams = { stdin, stdout, stderr }
  const file = parsed.plain.get('config')
  return command.run({
    ...streams,
    env,
    words: parsed.words,
    plain: parsed.plain,
    repeated: parsed.repeated,
    load: former =>
      loadSettings({
        flags: parsed.layer,
        file: typeof file === 'string' ? file : former,
        env,
        cwd: process.cwd(),
      }),
  })
}

function checkWords({ name, words: { min, max, what } }: Command, words: readonly string[]): void {
  const hint = `see listenql ${name} --help`
  if (words.length < min) {
    throw new ListenqlError('BAD_CONFIGURATION', `listenql ${name} needs ${what}`, { hint })
  }
  const extra = words[max]
  if (extra === undefined) return
  const isCommand = COMMANDS.some(command => command.name === extra)
  throw new ListenqlError(
    'BAD_CONFIGURATION',
    isCommand
      ? `the command comes first: listenql ${extra} [flags]`
      : `listenql ${name} takes ${max === 0 ? 'flags only' : `only ${what}`}: there is one argument too many`,
    { hint },
  )
}
