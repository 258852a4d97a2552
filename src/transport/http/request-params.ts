import { documentIdsOf, ID_FIELDS, onlyNamesDocument } from '../../graphql/documents/document-names.js'
import type { Params } from '../../graphql/operation.js'
import { isRecord } from '../../lib/is-record.js'

/** The operation of a request over HTTP, without its viewer and position. */
export type AskedParams = Omit<Params, 'viewer' | 'lastEventId'>

/** @returns the operation of a body, or a sentence that says why it is not a request */
export function paramsOfBody(body: string): AskedParams | string {
  try {
    return asParams(JSON.parse(body))
  } catch {
    return 'The body is not JSON. Send {"query": "…"}.'
  }
}

/** The same for the parameters of a URL. An empty parameter counts as absent. */
export function paramsOfQuery(query: URLSearchParams): AskedParams | string {
  const params: Record<string, unknown> = {}
  for (const name of ['query', 'operationName', ...ID_FIELDS]) params[name] = query.get(name) ?? undefined
  for (const name of ['variables', 'extensions']) {
    const text = query.get(name)
    try {
      params[name] = text ? JSON.parse(text) : undefined
    } catch {
      return `The parameter "${name}" is not JSON.`
    }
  }
  return asParams(params)
}

/** Whether a URL has an operation, so that it is not the address of a page. */
export function hasOperation(query: URLSearchParams): boolean {
  return ['query', ...ID_FIELDS].some(name => query.has(name))
}

function asParams(value: unknown): AskedParams | string {
  if (Array.isArray(value)) return 'Send one operation for each request: there is no batching.'
  if (!isRecord(value)) return 'The body is not an object. Send {"query": "…"}.'
  const { query, operationName, variables, extensions } = value
  if (value.documentId != null && typeof value.documentId !== 'string') return '"documentId" is not a text.'
  if (typeof query !== 'string' && !onlyNamesDocument(value))
    return 'The request has no "query", or it is not a text. Send {"query": "…"}.'
  if (operationName != null && typeof operationName !== 'string') return '"operationName" is not a text.'
  if (variables != null && !isRecord(variables)) return '"variables" is not an object.'
  if (extensions != null && !isRecord(extensions)) return '"extensions" is not an object.'
  return {
    query: typeof query === 'string' ? query : undefined,
    documentIds: documentIdsOf(value),
    operationName: operationName ?? undefined,
    variables: variables ?? undefined,
    extensions: extensions ?? undefined,
  }
}
