import type { ExecutionResult, FormattedExecutionResult, GraphQLError, GraphQLFormattedError } from 'graphql'
import { stringifyJson } from '../filters/index.js'
import type { ClientErrors } from './errors.js'

/*
 * How results leave the server, on every transport: with errors that clients may see, without what Yoga keeps in them, and as JSON
 * text in which no digit of a number is lost.
 */

/** The result with errors that a client may see. */
export function withClientErrors(result: ExecutionResult, toClientError: ClientErrors): ExecutionResult {
  return result.errors ? { ...result, errors: result.errors.map(toClientError) } : result
}

/** The form that is sent: `http` and `unexpected` are for Yoga only. */
export function formatError(error: GraphQLError): GraphQLFormattedError {
  const { extensions, ...rest } = error.toJSON()
  const { http: _http, unexpected: _unexpected, ...kept } = extensions ?? {}
  return Object.keys(kept).length > 0 ? { ...rest, extensions: kept } : rest
}

export function formatResult(result: ExecutionResult): FormattedExecutionResult {
  const { errors, ...rest } = result
  return errors ? { errors: errors.map(formatError), ...rest } : rest
}

/**
 * The JSON text of a result, as every transport carries it.
 * @param cursor of the event, for `extensions.cursor`. Default: none
 */
export function stringifyResult(result: ExecutionResult, cursor?: string): string {
  const formatted = formatResult(result)
  if (cursor === undefined) return stringifyJson(formatted)
  const extensions = { ...formatted.extensions, cursor }
  return stringifyJson({ ...formatted, extensions })
}
