import { randomUUID } from 'node:crypto'
import { GraphQLError } from 'graphql'
import { ListenqlError } from '../lib/errors.js'
import { LimitExceeded } from '../lib/limits/limit-exceeded.js'
import type { Observe } from '../lib/observation.js'

/** Converts any thrown value into an error that a client may see. */
export type ClientErrors = (error: unknown) => GraphQLError

/**
 * Errors made for clients keep their code. Any other error is a fault of the server: the client gets an id, and the log gets the
 * error with the same id.
 * @param suggestNames false: errors must not reveal names of the schema
 */
export function createClientErrors(observe: Observe, { suggestNames = true } = {}): ClientErrors {
  return suggestNames ? toClientError : error => withoutSuggestion(toClientError(error))

  function toClientError(error: unknown): GraphQLError {
    const original = error instanceof GraphQLError ? error.originalError : error
    if (error instanceof GraphQLError && !original) return withCode(error)
    const place =
      error instanceof GraphQLError ? { nodes: error.nodes ?? null, path: error.path ?? null } : {}
    if (original instanceof GraphQLError) {
      // For a variable of the wrong type, only the outer error names the variable.
      const { message } = error instanceof GraphQLError ? error : original
      return withCode(new GraphQLError(message, { ...place, extensions: original.extensions }))
    }
    if (original instanceof LimitExceeded) {
      const { code, limit, max, hint } = original
      observe({ type: 'client.error', code })
      return new GraphQLError(original.message, { ...place, extensions: { code, limit, max, hint } })
    }
    if (original instanceof ListenqlError) {
      const { code, hint } = original
      observe({ type: 'client.error', code })
      return new GraphQLError(original.message, {
        ...place,
        extensions: hint === undefined ? { code } : { code, hint },
      })
    }
    if (isTooDeep(original))
      return new GraphQLError(TOO_DEEP, { ...place, extensions: { code: 'BAD_REQUEST' } })
    const id = randomUUID()
    observe({ type: 'client.error', code: 'INTERNAL_SERVER_ERROR' })
    observe({ type: 'fault', id, message: 'an operation failed unexpectedly', error: original })
    return new GraphQLError('Unexpected error. The log of the server has the reason under this id.', {
      ...place,
      extensions: { code: 'INTERNAL_SERVER_ERROR', id },
    })
  }
}

/** graphql-js suggests names even where introspection is off. */
function withoutSuggestion(error: GraphQLError): GraphQLError {
  // The last occurrence: the text before it may quote the client, at any length.
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

/** An error without a path and a cause concerns the request: its variables are invalid. */
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
