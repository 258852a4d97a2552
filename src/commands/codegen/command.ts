import { ListenqlError } from '../../lib/errors.js'
import type { Command, Invocation } from '../shared/command.js'

/** `listenql codegen`. It is run in the project of the application, which need not be that of the server. */
export const CODEGEN_COMMAND: Command = {
  name: 'codegen',
  summary: "Generate TypeScript types for an application's operations",
  usage: 'codegen [flags] [DOCUMENTS...]',
  description:
    "Reads the schema from a running server, generates a function graphql() into src/gql/, and types each operation that is written as graphql(`…`) in the files DOCUMENTS (glob patterns, by default 'src/**/*.{ts,tsx}'). Apollo Client and urql then know the types of data and variables, with listenql's scalars as they arrive. The generator is GraphQL Code Generator: npm install --save-dev @graphql-codegen/cli. Run the command again when operations or tables change, or use --watch.",
  examples: [
    ['npx listenql codegen', 'from the server on http://localhost:7700, for src/**/*.{ts,tsx}'],
    [
      "npx listenql codegen --schema https://events.example.com/graphql --out app/gql 'app/**/*.tsx'",
      'another server, other folders',
    ],
    [
      'npx listenql codegen --schema postgres://me:secret@localhost/mydb',
      'from the database, without a server',
    ],
    [
      'npx listenql codegen --schema src/gql/schema.graphql',
      'from the file that the last run has written, as in CI',
    ],
    ['npx listenql codegen --watch', 'again whenever an operation or the schema changes'],
  ],
  options: ['host', 'port', 'basePath', 'debug'],
  flags: [
    {
      flag: 'schema',
      placeholder: 'SOURCE',
      help: 'URL of a server, URL of a database (postgres://…), or file with SDL',
    },
    { flag: 'out', placeholder: 'FOLDER', help: 'Folder of the generated files (default src/gql)' },
    {
      flag: 'header',
      placeholder: 'HEADER',
      help: "Header for the server, such as 'authorization: Bearer …'",
    },
    {
      flag: 'import-extension',
      placeholder: '.js',
      help: 'What generated imports end with; .js for "module": "nodenext"',
    },
    { flag: 'watch', help: 'Generate again at each change, until Ctrl-C (needs @parcel/watcher)' },
  ],
  words: { min: 0, max: 100_000, what: 'the files that contain operations' }, // a shell may expand a pattern
  run: async invocation => {
    const { words, plain } = invocation
    const { listenForStop } = await import('../shared/stop-signals.js')
    const stop = plain.has('watch') ? listenForStop() : undefined
    const out = textOf(invocation, 'out') ?? 'src/gql'
    const importExtension = extensionOf(textOf(invocation, 'import-extension'))
    const { schemaSource } = await import('./schema-source.js')
    const source = await schemaSource(await sourceOf(invocation), headersOf(textOf(invocation, 'header')))
    const { codegenCommand } = await import('./codegen.js')
    const argv = { source, documents: words, out, importExtension, watch: stop?.signal }
    const code = await codegenCommand(argv, invocation)
    stop?.raise()
    return code
  },
}

async function sourceOf(invocation: Invocation): Promise<string> {
  const given = textOf(invocation, 'schema')
  if (given !== undefined) return given
  const { localUrl } = await import('../shared/local-url.js')
  return `${localUrl(invocation.load().settings, '--schema http://localhost:PORT/graphql')}/graphql`
}

function textOf({ plain }: Invocation, flag: string): string | undefined {
  const value = plain.get(flag)
  return typeof value === 'string' ? value : undefined
}

/** @throws ListenqlError BAD_CONFIGURATION */
function extensionOf(given = ''): '' | '.js' {
  if (given === '' || given === '.js') return given
  throw new ListenqlError('BAD_CONFIGURATION', `--import-extension is .js`, {
    hint: 'leave it out, unless TypeScript resolves modules as Node does ("module": "nodenext")',
  })
}

/** @throws ListenqlError BAD_CONFIGURATION; the message does not quote the header, which may be a secret */
function headersOf(given: string | undefined): Record<string, string> {
  if (given === undefined) return {}
  const [, name, value] = /^([\w-]+)\s*:\s*(.+)$/.exec(given) ?? []
  if (name !== undefined && value !== undefined) return { [name]: value }
  throw new ListenqlError('BAD_CONFIGURATION', '--header is a name, a colon and a value', {
    hint: "such as --header 'authorization: Bearer …'",
  })
}
