import { PLACE_VARIABLES } from './database.js'
import { describeDefault, describeFlag } from './describe.js'
import { FILE_PLACES } from './file.js'
import { OPTION_LIST } from './names.js'
import { WITHOUT_MEANING } from './options.js'
import { isReloadable } from './reloadable.js'

/** docs/configuration.md. */
export function configurationMarkdown(): string {
  return `# Configuration

<!-- Made from src/config/options by \`npm run docs\`. Do not edit it here. -->

listenql needs no configuration. Every option can be set by flag, by environment variable or in a file. If an option is set in several
of these, the first one in this order counts:

    flag, environment variable, file, default

\`listenql config\` prints the effective configuration and where each value comes from, with passwords hidden.
\`listenql config --example\` prints a file with every option, ready to be changed:

    npx listenql config --example > listenql.toml

A wrong value, an unknown flag or an unknown key in the file is an error: the command prints one line with the problem and its place,
and ends with exit code 2. An unknown variable \`LISTENQL_*\` or \`ES_*\` is a warning.

## Options

${groups().map(optionTable).join('\n\n')}

## What a reload changes

A running server takes over other values of these options when it [reloads](operations.md#reloading); all others need a restart:
${reloadable()}.

## How values are written

| | |
|---|---|
| duration | a number and a unit, \`ms\`, \`s\`, \`m\` or \`h\`: \`500ms\`, \`10s\`, \`1.5s\`, \`2m\`, \`1h\`; from 1ms to 24 days, for \`--retention\` and \`--kick-retention\` from 1s to 10 years. A number without a unit is refused as ambiguous |
| bytes | a number, with an optional unit \`B\`, \`KiB\`, \`MiB\`, \`GiB\` (powers of 1024), \`kB\`, \`MB\`, \`GB\` (powers of 1000): \`1048576\`, \`16MiB\`, \`8MB\` |
| true or false | \`--debug\`, \`--no-graphiql\`, \`--graphiql=false\`; in variables \`true\`, \`1\`, \`yes\`, \`on\` and \`false\`, \`0\`, \`no\`, \`off\` |
| list | in flags and variables separated by commas; a flag may also be repeated. In the file, an array: \`Channels = ["people", "orders.*"]\` |
| glob | \`*\` any number of characters, \`?\` one character, \`[a-z]\` one of these, \`[!a-z]\` one that is none of these, \`{one,two}\` either, \`\\\` escapes the next character |

An empty variable counts as not set. If several variables of an option are set, the first one in the table counts, so
\`LISTENQL_PORT\` overrides \`PORT\`.

In code, \`createServer({ port: 0, stallTimeout: 5000 })\` accepts the same options: each has the name of its flag in
camelCase, with durations in milliseconds and sizes in bytes. \`createServer\` reads no environment variables except PG*.

## The database

${databaseRules()}

## The file

The file is [TOML](https://toml.io); its keys may be written in any case. \`--config FILE\` (\`-c FILE\`) or
\`LISTENQL_CONFIG\` names a file that must exist. Without them, listenql reads the first of these files that exists:

${FILE_PLACES.map((place, i) => `${i + 1}. \`${place.startsWith('/') ? place : `./${place}`}\``).join('\n')}

Relative paths in the file start from the current directory, as in flags and variables.

## Coming from pg_eventserv

The file of pg_eventserv, its variables (\`ES_\` and the key in capitals, such as \`ES_HTTPPORT\`), \`DATABASE_URL\` and its flags
\`--config\`, \`--debug\`, \`--help\` and \`--version\` work unchanged. The differences:

- \`HttpHost\` is \`localhost\` by default, not \`0.0.0.0\`: only this machine can reach the server unless you change it.
- \`CORSOrigins\` is empty by default, not \`*\`, and applies to WebSockets, too.
- \`HttpsPort\` opens as soon as certificate and key are given.
- Without \`DbConnection\` and without PG* variables, listenql serves the embedded Postgres.
- In \`ES_CHANNELS\` and \`ES_CORSORIGINS\` white space separates items, as in pg_eventserv, and so do commas.
- An unknown key is an error. ${Object.entries(WITHOUT_MEANING)
    .map(([key, why]) => `\`${key}\` (${why})`)
    .join(', ')} are accepted with a warning.
`
}

function groups(): string[] {
  return [...new Set(OPTION_LIST.map(option => option.group))]
}

function optionTable(group: string): string {
  const rows = OPTION_LIST.filter(option => option.group === group).map(option => {
    const variables = option.variables.map(code).join('<br>')
    const cells = [code(describeFlag(option)), variables, code(option.toml), `${option.help}.`]
    const preset = describeDefault(option)
    return row([...cells, option.default === undefined ? preset : code(preset)])
  })
  return [
    `### ${group}`,
    '',
    row(['flag', 'variables', 'key in the file', 'meaning', 'default']),
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

function reloadable(): string {
  return OPTION_LIST.filter(({ key }) => isReloadable(key))
    .map(({ flag }) => code(`--${flag}`))
    .join(', ')
}

function databaseRules(): string {
  const variables = PLACE_VARIABLES.map(code).join(', ')
  return `1. If \`--database-url\` (\`DATABASE_URL\`, \`DbConnection\`) is given, the database that it names.
2. If \`--data-dir\` is given, the embedded Postgres in that directory.
3. If one of ${variables} is set, the database that libpq's variables name
   (\`PGPASSWORD\`, \`PGSSLMODE\` and so on apply then; service files are not read).
4. Else the embedded Postgres in \`.listenql\` in the current directory.

If both 1 and 2 are given, the option from the source that comes first (flag, variable, file) counts, with a warning: the flag
\`--data-dir\` overrides the variable \`DATABASE_URL\`. If both come from the same source, the URL counts.`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function code(text: string): string {
  return `\`${text}\``
}
