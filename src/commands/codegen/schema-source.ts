import { readFile } from 'node:fs/promises'
import {
  buildClientSchema,
  buildSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
  lexicographicSortSchema,
  printSchema,
} from 'graphql'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import { describeConnection } from '../../postgres/conninfo.js'
import { readSdl } from '../schema.js'
import { findDatabase } from '../shared/connect.js'

/** Where a schema comes from. */
export interface SchemaSource {
  /** For messages; without passwords. */
  readonly name: string
  /** The schema in SDL, sorted, so that it is the same text from every source. @throws ListenqlError */
  read(): Promise<string>
}

/** Longest that a server may take to answer, in ms. */
const TIMEOUT_MS = 15_000

/**
 * @param given URL of a server, URL of a database, or path of a file with SDL
 * @param headers of requests to a server
 */
export async function schemaSource(
  given: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<SchemaSource> {
  if (/^https?:/i.test(given)) return { name: given, read: () => fromServer(given, headers) }
  if (!/^postgres(ql)?:/i.test(given)) return { name: given, read: () => fromFile(given) }
  const database = await findDatabase({ databaseUrl: given })
  return {
    name: describeConnection(database.config),
    read: () => readSdl(database, () => undefined),
  }
}

async function fromServer(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const failed = (what: string, hint: string, cause?: unknown) =>
    new ListenqlError('CODEGEN_FAILED', `the schema cannot be read from ${url}: ${what}`, { hint, cause })
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
      body: JSON.stringify({ query: getIntrospectionQuery({ oneOf: true, inputValueDeprecation: true }) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    text = await response.text()
  } catch (error) {
    const reason = messageOf(error instanceof Error && error.cause ? error.cause : error)
    throw failed(
      reason,
      'start the server (npx listenql), or name another source: --schema URL of a server, file or URL of a database',
      error,
    )
  }
  const result = parse(text)
  if (!result) {
    const hint = 'give the whole URL of the GraphQL endpoint, such as http://localhost:7700/graphql'
    throw failed(`it answered with status ${response.status} and no result of GraphQL`, hint)
  }
  const { data, errors } = result
  if (data?.__schema) return sorted(buildClientSchema(data))
  throw failed(
    errors?.[0]?.message ?? `status ${response.status}`,
    'a server whose viewers have roles needs --header "authorization: Bearer …" and --introspection, and one with --trusted-documents-only refuses introspection; read the schema from the database then: npx listenql schema > schema.graphql, then --schema schema.graphql',
  )
}

interface Answer {
  readonly data?: IntrospectionQuery | null
  readonly errors?: readonly { readonly message?: string }[]
}

function parse(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

async function fromFile(path: string): Promise<string> {
  try {
    return sorted(buildSchema(await readFile(path, 'utf8')))
  } catch (error) {
    throw new ListenqlError('CODEGEN_FAILED', `the schema cannot be read from ${path}: ${messageOf(error)}`, {
      hint: '--schema is the URL of a server, the URL of a database, or a file that `listenql schema` has printed',
      cause: error,
    })
  }
}

function sorted(schema: Parameters<typeof printSchema>[0]): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`
}
