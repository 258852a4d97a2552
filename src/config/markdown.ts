import { PLACE_VARIABLES } from './database.js'
import { describeDefault, describeFlag } from './describe.js'
import { FILE_PLACES } from './file.js'
import { OPTION_LIST } from './names.js'
import { WITHOUT_MEANING } from './options.js'

/** docs/configuration.md. */
export function configurationMarkdown(): string {
  return `# Configuration

<!-- Made from src/config/options.ts by \`npm run docs\`. Do not edit it here. -->

listenql needs no configuration. What can be set is set by flag, by environment variable or in a file, and

    flags  beat  environment variables  beat  the file  beat  defaults.

\`listenql config\` prints what is in force and where each value comes from, passwords hidden.
\`listenql config --example\` prints a file with every option, ready to be changed:

    npx listenql config --example > listenql.toml

A wrong value, an unknown flag or an unknown key in the file is an error: one line that says what and where, and exit
code 2. An unknown variable \`LISTENQL_*\` or \`ES_*\` is a warning.

## Options

${groups().map(optionTable).join('\n\n')}

## How values are written

| | |
|---|---|
| duration | a number and a unit, \`ms\`, \`s\`, \`m\` or \`h\`: \`500ms\`, \`10s\`, \`1.5s\`, \`2m\`, \`1h\`; from 1ms to 24 days, those of \`--retention\` and \`--kick-retention\` from 1s to 10 years. A number without a unit is refused, since it does not say which |
| bytes | a number, with a unit if you like, \`B\`, \`KiB\`, \`MiB\`, \`GiB\` (powers of 1024), \`kB\`, \`MB\`, \`GB\` (of 1000): \`1048576\`, \`16MiB\`, \`8MB\` |
| true or false | \`--debug\`, \`--no-graphiql\`, \`--graphiql=false\`; in variables \`true\`, \`1\`, \`yes\`, \`on\` and \`false\`, \`0\`, \`no\`, \`off\` |
| list | in flags and variables separated by commas; a flag may also be repeated. In the file an array: \`Channels = ["people", "orders.*"]\` |
| glob | \`*\` any characters or none, \`?\` one, \`[a-z]\` one of these, \`[!a-z]\` one that is none of these, \`{one,two}\` either, \`\\\` takes the meaning from the next character |

An empty variable counts as not set. Variables are read in the order in which the tables name them: the first that is set
counts, so \`LISTENQL_PORT\` beats \`PORT\`.

From code, \`createServer({ port: 0, stallTimeout: 5000 })\` takes the same options: each is named as its flag, in
camelCase, with durations in milliseconds and sizes in bytes. There, only the PG* variables are read from the environment.

## The database

${databaseRules()}

## The file

The file is [TOML](https://toml.io); its keys may be written in any case. \`--config FILE\` (\`-c FILE\`) or
\`LISTENQL_CONFIG\` names it, and then it must exist. Otherwise the first of these is read:

${FILE_PLACES.map((place, i) => `${i + 1}. \`${place.startsWith('/') ? place : `./${place}`}\``).join('\n')}

Paths in it are relative to the current directory, as they are in flags and variables.

## Coming from pg_eventserv

Its file, its variables (\`ES_\` and the key in capitals, such as \`ES_HTTPPORT\`), \`DATABASE_URL\` and its flags \`--config\`,
\`--debug\`, \`--help\` and \`--version\` work as they are. What differs:

- \`HttpHost\` is \`localhost\` by default, not \`0.0.0.0\`: nobody else reaches the server before you say so.
- \`CORSOrigins\` is empty by default, not \`*\`, and counts for WebSockets, too.
- \`HttpsPort\` opens as soon as certificate and key are given.
- Without \`DbConnection\` and without PG* variables it serves a Postgres of its own.
- In \`ES_CHANNELS\` and \`ES_CORSORIGINS\` white space separates as it does there, and so do commas.
- A key that does not exist is an error here. ${Object.entries(WITHOUT_MEANING)
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

function databaseRules(): string {
  const variables = PLACE_VARIABLES.map(code).join(', ')
  return `1. If \`--database-url\` (\`DATABASE_URL\`, \`DbConnection\`) is given, that one.
2. If \`--data-dir\` is given, a Postgres of its own in that directory.
3. If one of ${variables} is set, the database that libpq's variables name
   (\`PGPASSWORD\`, \`PGSSLMODE\` and so on count then; service files are not read).
4. Else a Postgres of its own in \`.listenql\` in the current directory.

If both 1 and 2 are given, the one from the stronger place counts (\`--data-dir\` beats a \`DATABASE_URL\` of the
environment), and a warning says so; in the same place, the URL.`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function code(text: string): string {
  return `\`${text}\``
}
