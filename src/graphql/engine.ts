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
import { createTurnstile } from '../lib/limits/turnstile.js'
import type { Observe } from '../lib/observation.js'
import type { Cursors } from '../log/cursors.js'
import { awaitTables, type SchemaState } from './await-tables.js'
import { createDocuments, type Documents } from './documents/find-document.js'
import type { ClientErrors } from './errors.js'
import { missingOperation } from './missing-operation.js'
import { observeRefusals } from './observe-refusals.js'
import type { Invalid, Origin, Params, Prepared, TextParams } from './operation.js'
import { summaryOf } from './operation-summary.js'
import { withClientErrors } from './result.js'
import { isConditional } from './root-selection.js'
import { createSubscribe } from './subscribe.js'

export interface Engine {
  /**
   * Parses and validates a request. Waits for its turn if many arrive at once, and if it needs watched tables that are not known yet.
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
  /** Default: every document may run, and none is stored. */
  readonly documents?: Documents
  /** The context of every execution; delivery opens the sources, not the schema. */
  readonly contextFor: (viewer: Viewer, origin: Origin | undefined) => object
  readonly toClientError: ClientErrors
  readonly schemaState: SchemaState
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
  /** Gets the refusals. Default: nothing is observed. */
  readonly observe?: Observe
}

/** How many requests are read in one turn of the event loop: with known documents that takes about 3 ms. */
const REQUESTS_PER_TURN = 8

/** Not sent: the client has left, or its session has ended. */
const LEFT: Prepared = invalid(badRequest('The client has left.'))

/**
 * Every request of every transport passes here: parse → validate → run, or subscribe. A request that fails on the way is `invalid`,
 * with errors that its client may see.
 */
export function createEngine(options: EngineOptions): Engine {
  const { getEnveloped, documents = createDocuments({}), contextFor, toClientError } = options
  const refused = observeRefusals(options.observe)
  const turnstile = createTurnstile(REQUESTS_PER_TURN)
  const subscribe = createSubscribe({ ...options, presentSchema: () => getEnveloped().schema, prepare })

  return {
    async prepare(asked, signal) {
      const turn = turnstile.enter(asked.origin?.remote ?? '', signal)
      if (turn) await turn
      if (signal?.aborted) return LEFT
      const found = documents.find(asked)
      if ('error' in found) return refused(asked, invalid(found.error))
      // A form, or a URL made by a program, sends an empty name for no name.
      const params = { ...asked, query: found.text, operationName: asked.operationName || undefined }
      const prepared = await awaitTables(() => prepare(params, signal), options, signal)
      if (prepared.kind === 'invalid') return refused(params, prepared)
      found.register?.()
      return prepared
    },
  }

  function prepare(params: TextParams, signal?: AbortSignal): Prepared {
    const { schema, parse, validate } = getEnveloped()
    const checked = documents.check(params.query)
    if (checked && 'error' in checked) return invalid(checked.error)
    let document: DocumentNode
    let operation: OperationDefinitionNode | null | undefined
    try {
      // The limits on documents are checked while a document is parsed: trusted ones have none.
      document = checked?.document ?? parse(params.query)
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
      contextValue: contextFor(params.viewer, params.origin),
      variableValues: params.variables ?? null,
      operationName: params.operationName ?? null,
    }
    const summary = summaryOf(document, operation, params.query, checked?.id)
    if (operation.operation !== OperationTypeNode.SUBSCRIPTION) {
      return {
        kind: operation.operation,
        args,
        run: async () => refused(params, withClientErrors(await execute(args), toClientError), summary),
      }
    }
    return {
      kind: 'subscription',
      args,
      async subscribe() {
        const result = await subscribe(args, params, signal)
        return 'request' in result ? { ...result, operation: summary } : refused(params, result, summary)
      },
    }
  }
}

function invalid(error: GraphQLError): Invalid {
  return { kind: 'invalid', errors: [error] }
}

function badRequest(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })
}
