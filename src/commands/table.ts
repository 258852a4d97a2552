import { OPTION_LIST } from '../config/index.js'
import { CODEGEN_COMMAND } from './codegen/command.js'
import { LOG_COMMANDS } from './log-commands.js'
import type { Command } from './shared/command.js'
import { TOP_COMMAND } from './top/command.js'

const ALL = OPTION_LIST.map(option => option.key)
const NO_WORDS = { min: 0, max: 0, what: '' }

/** Every command; the first one runs if none is named. */
export const COMMANDS: readonly Command[] = [
  {
    name: 'serve',
    summary: 'Start the server (the default command)',
    usage: '[serve] [flags]',
    description:
      'Connects to a Postgres and offers every NOTIFY channel and every watched table as a GraphQL subscription over WebSocket and Server-Sent Events. If no database is configured, it starts an embedded Postgres with its data in .listenql. Ctrl-C stops everything.',
    examples: [
      ['npx listenql', 'the embedded Postgres, on http://localhost:7700'],
      ['DATABASE_URL=postgres://me:secret@localhost/mydb npx listenql', 'your own database'],
      ['npx listenql --host 0.0.0.0 --channels people,orders.*', 'for the network, only some channels'],
      ['npx listenql --tls-cert server.crt --tls-key server.key', 'also HTTPS, on port 7701'],
    ],
    options: ALL,
    flags: [],
    words: NO_WORDS,
    outlivesStdout: true,
    run: async ({ load }) => {
      const loaded = load()
      const { serveCommand } = await import('./serve.js')
      return serveCommand(loaded, load)
    },
  },
  ...LOG_COMMANDS,
  {
    name: 'sql',
    summary: 'Run SQL on the database and print the results',
    usage: 'sql [flags] [STATEMENT]',
    description:
      'Connects to the database directly (not to the server) and runs the statement, or the SQL on stdin if there is none. The embedded Postgres must be running: start the server first.',
    examples: [
      [
        `npx listenql sql "INSERT INTO people (name, age, height) VALUES ('Paul', 51, 1.9)"`,
        'make an event in the demo database',
      ],
      [`npx listenql sql "NOTIFY people, 'hello'"`, 'make an event in any database'],
      ['npx listenql sql < schema.sql', 'run a file'],
    ],
    options: ['databaseUrl', 'dataDir', 'debug'],
    flags: [],
    words: { min: 0, max: 1, what: 'the statement, in quotes' },
    run: async ({ load, words, env, ...streams }) => {
      const { databaseArguments } = await import('./shared/database-arguments.js')
      const { sqlCommand } = await import('./sql.js')
      const [statement] = words
      const database = databaseArguments(load().settings, env)
      return sqlCommand({ ...database, ...(statement !== undefined && { statement }) }, streams)
    },
  },
  {
    name: 'tail',
    summary: 'Print what arrives on channels of a running server',
    usage: 'tail [flags] CHANNEL...',
    description:
      'Subscribes to channels of a running server and prints payloads, one a line, until Ctrl-C. If the connection to the server is lost, the command reconnects. It connects to the host and port at which a server with this configuration listens; --url names another server.',
    examples: [
      ['npx listenql tail people', 'payloads only'],
      ['npx listenql tail --json people orders', 'whole events, one JSON object a line'],
      ['npx listenql tail --url https://events.example.com people', 'a server elsewhere'],
    ],
    options: ['host', 'port', 'basePath', 'debug'],
    flags: [
      { flag: 'url', placeholder: 'URL', help: 'The server to subscribe to' },
      { flag: 'json', help: 'Print whole events as JSON' },
    ],
    words: { min: 1, max: 1000, what: 'the name of a channel' },
    run: async ({ load, words, plain, ...streams }) => {
      const { tailArguments } = await import('./tail-arguments.js')
      const argv = tailArguments(() => load().settings, words, plain)
      const { listenForStop } = await import('./shared/stop-signals.js')
      const stop = listenForStop()
      const { tailCommand } = await import('./tail.js')
      const code = await tailCommand(argv, streams, stop.signal)
      if (stop.signal.aborted) stop.raise()
      return code
    },
  },
  TOP_COMMAND,
  CODEGEN_COMMAND,
  {
    name: 'config',
    summary: 'Print the effective configuration',
    usage: 'config [flags]',
    description:
      'Prints every option with its value and the source of the value, as a file that can be used with --config. Passwords are hidden. It accepts the flags of serve, to show their effect.',
    examples: [
      ['npx listenql config', 'the effective configuration here'],
      ['npx listenql config --example > listenql.toml', 'a file with every option, to start from'],
      ['PORT=8000 npx listenql config --no-graphiql', 'shows the effect of a variable and a flag'],
    ],
    options: ALL,
    flags: [
      { flag: 'example', help: 'Print an example file instead' },
      { flag: 'markdown', help: 'Print docs/configuration.md instead' },
    ],
    words: NO_WORDS,
    run: async invocation => {
      const { configCommand } = await import('./config.js')
      return configCommand(invocation)
    },
  },
  {
    name: 'help',
    summary: 'Explain a command',
    usage: 'help [COMMAND]',
    description: 'Prints the text of --help for a command, or the list of commands.',
    examples: [['npx listenql help serve', 'every option of the server']],
    options: [],
    flags: [],
    words: { min: 0, max: 1, what: 'the name of a command' },
    run: async ({ words, stdout }) => {
      const { helpText } = await import('./help.js')
      stdout.write(helpText(COMMANDS, words[0]))
      return 0
    },
  },
]
