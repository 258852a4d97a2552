import { ListenqlError } from '../lib/errors.js'
import type { Command } from './shared/command.js'
import { databaseFor, GRANT_DUMP, textOf, WAIT, waitOf } from './shared/log-flags.js'
import { WATCH_COMMANDS } from './watch-commands.js'

const NO_WORDS = { min: 0, max: 0, what: '' }

/** The commands of the event log and its tables. They use the database directly; no server needs to run. */
export const LOG_COMMANDS: readonly Command[] = [
  ...WATCH_COMMANDS,
  {
    name: 'status',
    summary: 'Show the watched tables, the event log and any problems',
    usage: 'status [flags]',
    description:
      'Prints the watched tables, the size of the event log and how far it reaches back, the newest position, whether a server reads it, and warnings. It queries the database directly, so it works without a server.',
    examples: [
      ['npx listenql status', 'an overview'],
      [`npx listenql status --json | jq -e '.warnings == []'`, 'for a monitor: fails if there is a warning'],
    ],
    options: ['databaseUrl', 'dataDir', 'retention', 'maxLogSize', 'debug'],
    flags: [{ flag: 'json', help: 'Print everything as JSON' }],
    words: NO_WORDS,
    run: async invocation => {
      const { statusCommand } = await import('./status.js')
      const { settings } = invocation.load()
      const json = invocation.plain.has('json')
      return statusCommand(await databaseFor(invocation), settings, { json }, invocation)
    },
  },
  {
    name: 'schema',
    summary: 'Print the GraphQL schema of the watched tables',
    usage: 'schema [flags]',
    description:
      "Prints the schema that a server offers for this database, in GraphQL's own language: for code generators, or to see what a table becomes.",
    examples: [['npx listenql schema > schema.graphql', 'for a code generator']],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [],
    words: NO_WORDS,
    run: async invocation => {
      const { schemaCommand } = await import('./schema.js')
      return schemaCommand(await databaseFor(invocation), invocation)
    },
  },
  {
    name: 'install',
    summary: 'Create or update schema listenql, or print its SQL',
    usage: 'install [flags]',
    description:
      "Creates or updates schema listenql in the database. The command watch does this too. With --print, the command prints the SQL for an administrator to run, and needs no database. With --grant-to, it grants the server's login the privileges that a server needs on that schema, and no others.",
    examples: [
      ['npx listenql install', 'create it, or update it'],
      ['npx listenql install --print --grant-to live > listenql.sql', 'for a DBA to read and run'],
    ],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [
      { flag: 'print', help: 'Print the SQL instead of running it' },
      {
        flag: 'grant-to',
        placeholder: 'ROLE',
        help: 'Login of the server: gets the privileges on the schema that a server needs',
      },
      GRANT_DUMP,
      {
        flag: 'from',
        placeholder: 'VERSION',
        help: 'With --print: only the changes since this version of the schema',
      },
    ],
    words: NO_WORDS,
    run: async invocation => {
      const { installCommand, printInstallCommand } = await import('./install.js')
      const { plain } = invocation
      const grantTo = textOf(plain, 'grant-to')
      const grantDumpTo = textOf(plain, GRANT_DUMP.flag)
      if (plain.has('print')) {
        return printInstallCommand({ grantTo, grantDumpTo, from: textOf(plain, 'from') }, invocation)
      }
      if (plain.has('from')) throw new ListenqlError('BAD_CONFIGURATION', '--from needs --print')
      return installCommand(await databaseFor(invocation), { grantTo, grantDumpTo }, invocation)
    },
  },
  {
    name: 'uninstall',
    summary: 'Remove everything that listenql created in the database',
    usage: 'uninstall [flags]',
    description:
      'Removes the triggers from all watched tables, then schema listenql with the event log. Your tables stay as they are. It asks for confirmation first.',
    examples: [
      ['npx listenql uninstall', 'asks for confirmation'],
      ['npx listenql uninstall --yes', 'in a script'],
    ],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [{ flag: 'yes', help: 'Do not ask for confirmation' }, WAIT],
    words: NO_WORDS,
    run: async invocation => {
      const { uninstallCommand } = await import('./uninstall.js')
      const { plain } = invocation
      const argv = { yes: plain.has('yes'), patience: waitOf(plain) }
      return uninstallCommand(await databaseFor(invocation), argv, invocation)
    },
  },
  {
    name: 'rotate',
    summary: 'Clear old events from the event log',
    usage: 'rotate [flags]',
    description:
      'Does once what a running server does every minute: clears the events that are older than --retention and, if the log is larger than --max-log-size, the oldest of the others. Run it from cron if no server runs for a long time, because triggers log even then. It does not wait for other sessions and does not block them.',
    examples: [['npx listenql rotate --retention 6h --max-log-size 2GiB', 'from cron, every few minutes']],
    options: ['databaseUrl', 'dataDir', 'retention', 'maxLogSize', 'debug'],
    flags: [],
    words: NO_WORDS,
    run: async invocation => {
      const { rotateCommand } = await import('./rotate.js')
      return rotateCommand(await databaseFor(invocation), invocation.load().settings, invocation)
    },
  },
  {
    name: 'kick',
    summary: 'End the streams of a viewer, and refuse its tokens',
    usage: 'kick --claim NAME=VALUE [flags]',
    description:
      'Ends at once, on all servers of this database, the connections and streams of viewers whose token has this claim with this value. Their tokens are refused from now on if they were issued (claim iat) before the kick, or have no iat. Newer tokens are accepted. The command needs EXECUTE on listenql.kick, which the owner of schema listenql has.',
    examples: [['npx listenql kick --claim sub=42', 'sign out user 42 everywhere']],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [{ flag: 'claim', placeholder: 'NAME=VALUE', help: 'The claim of the viewers to kick' }],
    words: NO_WORDS,
    run: async invocation => {
      const { kickCommand, readClaim } = await import('./kick.js')
      const claim = readClaim(textOf(invocation.plain, 'claim'))
      return kickCommand(await databaseFor(invocation), claim, invocation)
    },
  },
]
