import { didYouMean } from '../config/index.js'
import { ListenqlError } from '../lib/errors.js'
import { hideSecrets } from '../postgres/conninfo.js'
import type { Command } from './shared/command.js'

/** @throws ListenqlError BAD_CONFIGURATION if there is no such command */
export function findCommand(commands: readonly Command[], name: string): Command {
  const command = commands.find(one => one.name === name)
  if (command) return command
  const names = commands.map(one => one.name)
  const isUrl = /^postgres(ql)?:/i.test(name)
  throw new ListenqlError(
    'BAD_CONFIGURATION',
    `there is no command '${hideSecrets(name)}'${didYouMean(name, names)}`,
    {
      hint: isUrl ? 'to serve that database: listenql --database-url URL' : `commands: ${names.join(', ')}`,
    },
  )
}
