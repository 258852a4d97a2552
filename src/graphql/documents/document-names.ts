import { isRecord } from '../../lib/is-record.js'

/** How a request refers to its document, in place of the text of the document or beside it. */
export interface DocumentNames {
  /** The ids as the client sent them: all of them mean one document. */
  readonly documentIds?: readonly string[] | undefined
  readonly extensions?: Record<string, unknown> | undefined
}

/**
 * The fields with an id: that of GraphQL over HTTP (the appendix about persisted documents,
 * https://github.com/graphql/graphql-over-http/tree/main/spec), and those that applications with Relay send.
 */
export const ID_FIELDS = ['documentId', 'doc_id', 'id'] as const

/** Returns the different ids of a request. Values that are not texts, and empty texts, do not count. */
export function documentIdsOf(request: Readonly<Record<string, unknown>>): string[] {
  const given = ID_FIELDS.map(field => request[field])
  return [...new Set(given.filter((id): id is string => typeof id === 'string' && id !== ''))]
}

/**
 * The hash of a document in `extensions.persistedQuery`, as Apollo's clients send it. An empty text: the client sent
 * `persistedQuery` without a hash.
 */
export function hashOf(extensions: unknown): string | undefined {
  if (!isRecord(extensions) || !isRecord(extensions.persistedQuery)) return undefined
  const { sha256Hash } = extensions.persistedQuery
  return typeof sha256Hash === 'string' ? sha256Hash : ''
}

/** Whether a request has a name of its document and no text. */
export function onlyNamesDocument(request: Readonly<Record<string, unknown>>): boolean {
  const { query, extensions } = request
  const isAbsent = query === undefined || query === null || query === ''
  return isAbsent && (documentIdsOf(request).length > 0 || hashOf(extensions) !== undefined)
}
