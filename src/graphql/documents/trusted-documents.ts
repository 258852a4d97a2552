import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type DocumentNode, GraphQLError, Kind, parse, stripIgnoredCharacters } from 'graphql'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import { isRecord } from '../../lib/is-record.js'

/** A document that the operator has listed. */
export interface TrustedDocument {
  /** Its key in the file. */
  readonly id: string
  readonly text: string
  /** Parsed once; every schema validates it when it is used. */
  readonly document: DocumentNode
}

/** The documents that the operator trusts. What belongs to an id is exactly the text of the file. */
export interface TrustedDocuments {
  readonly size: number
  /** @param id a key of the file, or `sha256:` and the hash of a text (the prefixed id of GraphQL over HTTP) */
  byId(id: string): TrustedDocument | undefined
  /** @param hash a key of the file, or the SHA-256 of a text, in lower-case hexadecimal digits */
  byHash(hash: string): TrustedDocument | undefined
  /**
   * The document with the same tokens: layout, commas and comments do not count, since clients print documents in their own ways.
   * What runs is the text of the file. Trust belongs to a document, however a request refers to it.
   */
  byText(text: string): TrustedDocument | undefined
}

/** A text that is longer than the longest document of the file by more than this factor is not compared with them. */
const LAYOUT_FACTOR = 4

/** The prefix of GraphQL over HTTP for the SHA-256 of a document's text. */
export const SHA256_PREFIX = 'sha256:'

/** Returns the SHA-256 of a text in UTF-8, in lower-case hexadecimal digits. */
export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Reads the file that GraphQL Code Generator (`persisted-documents.json`) and Relay's compiler write: a JSON object with the
 * text of each document under its id. Ids are opaque.
 * @throws ListenqlError BAD_CONFIGURATION: the file cannot be read, or a document in it is none; one line that names the key
 */
export function readTrustedDocuments(file: string): TrustedDocuments {
  const byKey = new Map<string, TrustedDocument>()
  const bySha256 = new Map<string, TrustedDocument>()
  const byText = new Map<string, TrustedDocument>()
  const byTokens = new Map<string, TrustedDocument>()
  let longest = 0
  for (const [id, text] of Object.entries(readObject(file))) {
    const entry: TrustedDocument = byText.get(text as string) ?? {
      id,
      text: text as string,
      document: parseDocument(file, id, text),
    }
    byKey.set(id, entry)
    bySha256.set(sha256Of(entry.text), entry)
    byText.set(entry.text, entry)
    const tokens = stripIgnoredCharacters(entry.text)
    if (!byTokens.has(tokens)) byTokens.set(tokens, entry)
    longest = Math.max(longest, entry.text.length)
  }
  return {
    size: byText.size,
    byId: id =>
      byKey.get(id) ??
      (id.startsWith(SHA256_PREFIX) ? bySha256.get(id.slice(SHA256_PREFIX.length)) : undefined),
    byHash: hash => byKey.get(hash) ?? bySha256.get(hash),
    byText: text =>
      byText.get(text) ?? (text.length <= LAYOUT_FACTOR * longest ? byTokens.get(tokensOf(text)) : undefined),
  }
}

/** Returns the text without layout; empty if it is not made of tokens of GraphQL. */
function tokensOf(text: string): string {
  try {
    return stripIgnoredCharacters(text)
  } catch {
    return ''
  }
}

function readObject(file: string): Record<string, unknown> {
  let content: string
  try {
    content = readFileSync(file, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    throw wrong(file, `cannot be read: ${messageOf(error)}`)
  }
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    throw wrong(file, `is not JSON: ${firstLine(error)}`)
  }
  if (!isRecord(value) || Array.isArray(value))
    throw wrong(file, 'is not a JSON object that has the text of each document under its id')
  return value
}

function parseDocument(file: string, id: string, text: unknown): DocumentNode {
  const where = `has no usable document under the key ${JSON.stringify(id)}`
  if (id === '') throw wrong(file, 'has an empty key')
  if (typeof text !== 'string') throw wrong(file, `${where}: the value is not a text`)
  let document: DocumentNode
  try {
    document = parse(text)
  } catch (error) {
    const [at] = error instanceof GraphQLError ? (error.locations ?? []) : []
    const place = at ? ` (line ${at.line}, column ${at.column} of the document)` : ''
    throw wrong(file, `${where}: ${firstLine(error)}${place}`)
  }
  for (const { kind } of document.definitions)
    if (kind !== Kind.OPERATION_DEFINITION && kind !== Kind.FRAGMENT_DEFINITION)
      throw wrong(file, `${where}: it defines a schema and not an operation`)
  if (!document.definitions.some(({ kind }) => kind === Kind.OPERATION_DEFINITION))
    throw wrong(file, `${where}: it has no operation`)
  return document
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] as string
}

function wrong(file: string, problem: string): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', `the file of --trusted-documents, ${file}, ${problem}`, {
    hint: 'the file is the persisted-documents.json of GraphQL Code Generator, or what the compiler of Relay writes',
  })
}
