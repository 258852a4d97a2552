import type { Command, Invocation } from './shared/command.js'
import { databaseFor, GRANT_DUMP, textOf, WAIT, waitOf } from './shared/log-flags.js'

const WORDS = { min: 0, max: 1000, what: '' }

const ALL = { flag: 'all', help: 'All tables of all schemas, except those that the words leave out' } as const
const SCHEMA = {
  flag: 'schema',
  placeholder: 'NAME',
  repeats: true,
  help: 'All tables of this schema; may be given several times',
} as const

/** How to choose tables, for both commands. */
const CHOICE = `A name is written as in SQL; with * (any text), ? (one character), [abc] or {a,b} it is a pattern, which a shell must not expand: put it in single quotes. A pattern without a schema matches tables of the search_path. A ! in front leaves tables out; the last word that matches a table decides.`

/** The commands that say which tables are watched. */
export const WATCH_COMMANDS: readonly Command[] = [
  {
    name: 'watch',
    summary: 'Watch tables: their changes become subscriptions',
    usage: 'watch [flags] TABLE|PATTERN...',
    description: `Every INSERT, UPDATE, DELETE and TRUNCATE of these tables goes to the event log from now on, and clients can subscribe to these changes: table people becomes peopleChanged. The first watch creates schema listenql in the database. A running server offers the tables within a second. ${CHOICE} Patterns, --schema and --all skip what cannot be watched, such as views. A table that fails does not stop the others; the exit code is 1 then. The command needs the privilege TRIGGER on the tables, which their owner has, and waits for transactions that write to them. To have a server watch tables when it starts, see the option --tables of serve.`,
    examples: [
      ['npx listenql watch people', 'people becomes peopleChanged and people in GraphQL'],
      [
        `npx listenql watch chat.messages '"Mixed Case"'`,
        'several tables, one in another schema and one with a name that SQL quotes',
      ],
      [
        `npx listenql watch --dry-run --all '!chat.draft*'`,
        'shows what would be watched, and what is skipped and why',
      ],
      [`npx listenql watch --schema chat 'public.order*'`, 'a schema, and some tables of another one'],
      [
        'npx listenql watch --always orders',
        'includes writes of tools that set session_replication_role to replica',
      ],
    ],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [
      ALL,
      SCHEMA,
      {
        flag: 'dry-run',
        help: 'Print which tables would be watched, are watched, and are skipped and why; change nothing',
      },
      {
        flag: 'always',
        help: 'Log writes under session_replication_role = replica too; only the owner of the table may do this',
      },
      {
        flag: 'grant-to',
        placeholder: 'ROLE',
        help: 'Login of the server: gets SELECT on the tables, for snapshots',
      },
      GRANT_DUMP,
      WAIT,
    ],
    words: WORDS,
    run: async invocation => {
      const { plain } = invocation
      const wait = waitOf(plain)
      const choice = await choiceOf('watch', invocation)
      const { watchCommand } = await import('./watch.js')
      const argv = {
        ...choice,
        dryRun: plain.has('dry-run'),
        patience: wait,
        always: plain.has('always'),
        grantTo: textOf(plain, 'grant-to'),
        grantDumpTo: textOf(plain, GRANT_DUMP.flag),
      }
      return watchCommand(await databaseFor(invocation), argv, invocation)
    },
  },
  {
    name: 'unwatch',
    summary: 'Stop watching tables',
    usage: 'unwatch [flags] TABLE|PATTERN...',
    description: `Removes the triggers from these tables. Their logged events stay in the log for --retention, but cursors of these tables are no longer valid. If a trigger cannot be dropped, the command changes it to log nothing, and prints the SQL that drops it. ${CHOICE} With patterns, --schema and --all, the command lists the tables and asks for confirmation.`,
    examples: [
      ['npx listenql unwatch people', 'ends peopleChanged'],
      [`npx listenql unwatch --all '!people'`, 'all tables but one, after a confirmation'],
      [`npx listenql unwatch --yes 'chat.*'`, 'in a script'],
    ],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [
      { ...ALL, help: 'All watched tables, except those that the words leave out' },
      { ...SCHEMA, help: 'All watched tables of this schema; may be given several times' },
      { flag: 'dry-run', help: 'Print which tables would no longer be watched; change nothing' },
      { flag: 'yes', help: 'Do not ask for confirmation' },
      WAIT,
    ],
    words: WORDS,
    run: async invocation => {
      const { plain } = invocation
      const wait = waitOf(plain)
      const choice = await choiceOf('unwatch', invocation)
      const { unwatchCommand } = await import('./unwatch.js')
      const argv = { ...choice, patience: wait, dryRun: plain.has('dry-run'), yes: plain.has('yes') }
      return unwatchCommand(await databaseFor(invocation), argv, invocation)
    },
  },
]

async function choiceOf(command: string, { words: tables, plain, repeated }: Invocation) {
  const { checkChoice } = await import('./shared/table-choice.js')
  const choice = { tables, all: plain.has(ALL.flag), schemas: repeated.get(SCHEMA.flag) ?? [] }
  checkChoice(command, choice)
  return choice
}
