import { randomUUID } from 'node:crypto'
import {
  type ExecutionResult,
  type FormattedExecutionResult,
  GraphQLError,
  type GraphQLFormattedError,
} from 'graphql'
import { ListenqlError } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Observe } from '../lib/observation.js'

/** Turns what was thrown into what a client may know. */
export type ClientErrors = (error: unknown) => GraphQLError

/**
 * Errors that are meant for people pass with their code; anything else is a fault of ours: the client gets an id, the log
 * gets the same id with the rest.
 * @param suggestNames false: what the schema has is not told to who guesses
 */
export function createClientErrors(observe: Observe, { suggestNames = true } = {}): ClientErrors {
  return suggestNames ? toClientError : error => withoutSuggestion(toClientError(error))

  function toClientError(error: unknown): GraphQLError {
    const original = error instanceof GraphQLError ? error.originalError : error
    if (error instanceof GraphQLError && !original) return withCode(error)
    const place =
      error instanceof GraphQLError ? { nodes: error.nodes ?? null, path: error.path ?? null } : {}
    if (original instanceof GraphQLError) {
      // Of a variable that does not fit, only the outer one says which it is.
      const { message } = error instanceof GraphQLError ? error : original
      return withCode(new GraphQLError(message, { ...place, extensions: original.extensions }))
    }
    if (original instanceof LimitExceeded) {
      const { code, limit, max, hint } = original
      return new GraphQLError(original.message, { ...place, extensions: { code, limit, max, hint } })
    }
    if (original instanceof ListenqlError) {
      const { code, hint } = original
      return new GraphQLError(original.message, {
        ...place,
        extensions: hint === undefined ? { code } : { code, hint },
      })
    }
    if (isTooDeep(original))
      return new GraphQLError(TOO_DEEP, { ...place, extensions: { code: 'BAD_REQUEST' } })
    const id = randomUUID()
    observe({ type: 'fault', id, message: 'an operation failed unexpectedly', error: original })
    return new GraphQLError('Unexpected error. The log of the server has the reason under this id.', {
      ...place,
      extensions: { code: 'INTERNAL_SERVER_ERROR', id },
    })
  }
}

/** graphql-js says what was probably meant, also where introspection is off. */
function withoutSuggestion(error: GraphQLError): GraphQLError {
  // The last one: what stands before may be a text of the client's, of any length.
  const at = error.message.endsWith('?') ? error.message.lastIndexOf(' Did you mean ') : -1
  if (at < 0) return error
  const message = error.message.slice(0, at)
  const { nodes, source, positions, path, extensions } = error
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    extensions,
  })
}

/** What has no place in the result, and no cause, is about the request: its variables do not fit. */
function withCode(error: GraphQLError): GraphQLError {
  if (error.path || error.extensions.code !== undefined) return error
  const { message, nodes, source, positions, extensions } = error
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    extensions: { ...extensions, code: 'BAD_USER_INPUT' },
  })
}

export const TOO_DEEP = 'Nested too deeply.'

/** A stack overflow: graphql-js recurses into documents and JSON.stringify into values, and both come from clients. */
export function isTooDeep(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack')
}

/** As sent: `http` and `unexpected` are Yoga's notes to itself. */
export function formatError(error: GraphQLError): GraphQLFormattedError {
  const { extensions, ...rest } = error.toJSON()
  const { http: _http, unexpected: _unexpected, ...kept } = extensions ?? {}
  return Object.keys(kept).length > 0 ? { ...rest, extensions: kept } : rest
}

export function formatResult(result: ExecutionResult): FormattedExecutionResult {
  const { errors, ...rest } = result
  return errors ? { errors: errors.map(formatError), ...rest } : rest
}
