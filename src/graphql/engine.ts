import {
  type DocumentNode,
  type ExecutionArgs,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql'
import type { Viewer } from '../auth/viewer.js'
import type { Cursors } from '../log/cursors.js'
import { awaitTables, type SchemaState } from './await-tables.js'
import type { ClientErrors } from './errors.js'
import { missingOperation } from './missing-operation.js'
import type { Invalid, Params, Prepared } from './operation.js'
import { isHashed, persistedQueryNotSupported } from './persisted-query.js'
import { withClientErrors } from './result.js'
import { isConditional } from './root-selection.js'
import { createSubscribe } from './subscribe.js'

export interface Engine {
  /**
   * Parses and validates a request. Waits if it needs watched tables that are not known yet.
   * @param signal aborts when the client has left
   */
  prepare(params: Params, signal?: AbortSignal): Promise<Prepared>
}

/** The part of a Yoga server that parses and validates, with its caches and plugins: the same for all transports. */
export interface Enveloped {
  readonly schema: GraphQLSchema
  parse(source: string): DocumentNode
  validate(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[]
}

export interface EngineOptions {
  readonly getEnveloped: () => Enveloped
  /** The context of every execution; delivery opens the sources, not the schema. */
  readonly contextFor: (viewer: Viewer) => object
  readonly toClientError: ClientErrors
  readonly schemaState: SchemaState
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
}

/**
 * Every request of every transport passes here: parse → validate → run, or subscribe. A request that fails on the way is `invalid`,
 * with errors that its client may see.
 */
export function createEngine(options: EngineOptions): Engine {
  const { getEnveloped, contextFor, toClientError } = options
  const subscribe = createSubscribe({ ...options, presentSchema: () => getEnveloped().schema, prepare })

  return {
    async prepare(asked, signal) {
      // A form, or a URL made by a program, sends an empty name for no name.
      const params = { ...asked, operationName: asked.operationName || undefined }
      return awaitTables(() => prepare(params, signal), options, signal)
    },
  }

  function prepare(params: Params, signal?: AbortSignal): Prepared {
    const { schema, parse, validate } = getEnveloped()
    if (isHashed(params.query, params.extensions)) return invalid(persistedQueryNotSupported())
    if (typeof params.query !== 'string')
      return invalid(badRequest('The request has no "query"; send {"query": "…"}.'))
    let document: DocumentNode
    let operation: OperationDefinitionNode | null | undefined
    try {
      document = parse(params.query)
      operation = getOperationAST(document, params.operationName)
      // Before validation, which would report the variables of such a condition as missing.
      const isSubscription = operation?.operation === OperationTypeNode.SUBSCRIPTION
      if (operation && isSubscription && isConditional(document, operation)) {
        return invalid(
          badRequest(
            'A subscription must have exactly one root field: @skip and @include are not allowed on it.',
          ),
        )
      }
      const errors = validate(schema, document)
      if (errors.length > 0)
        return { kind: 'invalid', errors, mayFit: isSubscription ? 'subscription' : 'other' }
    } catch (error) {
      return invalid(toClientError(error))
    }
    if (!operation) return invalid(missingOperation(document, params.operationName))
    const args: ExecutionArgs = {
      schema,
      document,
      contextValue: contextFor(params.viewer),
      variableValues: params.variables ?? null,
      operationName: params.operationName ?? null,
    }
    if (operation.operation !== OperationTypeNode.SUBSCRIPTION) {
      return {
        kind: operation.operation,
        args,
        run: async () => withClientErrors(await execute(args), toClientError),
      }
    }
    return { kind: 'subscription', args, subscribe: () => subscribe(args, params, signal) }
  }
}

function invalid(error: GraphQLError): Invalid {
  return { kind: 'invalid', errors: [error] }
}

function badRequest(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })
}
