import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql'
import { type Viewer, viewerKey } from '../auth/viewer.js'
import type { SubscriptionRequest } from '../delivery/subscription.js'
import { stringifyJson } from '../filters/index.js'
import { abortable } from '../lib/abort.js'
import { ListenqlError } from '../lib/errors.js'
import { sizeOf, textSize } from '../lib/size-of.js'
import { stableStringify } from '../lib/stable-stringify.js'
import type { Cursors } from '../log/cursors.js'
import type { Position } from '../log/position.js'
import { EventSource } from '../sources/source.js'
import { withoutFalseRemoval } from './bubbled-errors.js'
import { documentSize } from './document-size.js'
import { type ClientErrors, formatResult } from './errors.js'
import { type Identity, identify } from './identity.js'
import { missingOperation } from './missing-operation.js'
import { isHashed, persistedQueryNotSupported } from './persisted-query.js'
import { isConditional } from './root-selection.js'
import { asksForTables } from './tables-asked.js'

/** A GraphQL request from any transport. */
export interface Params {
  readonly viewer: Viewer
  readonly query?: string | undefined
  readonly operationName?: string | undefined
  readonly variables?: Record<string, unknown> | undefined
  readonly extensions?: Record<string, unknown> | undefined
  /** A position that the client remembers by itself. It takes precedence over `extensions` and the argument. */
  readonly lastEventId?: string | undefined
}

/** The group that a subscription joins, and its start. */
export interface Subscription {
  readonly request: SubscriptionRequest<unknown>
  /** Default: events from now on. */
  readonly after: Position | undefined
}

/** A request that has been parsed and validated. */
export type Prepared = Invalid | Operation

export interface Invalid {
  readonly kind: 'invalid'
  readonly errors: readonly GraphQLError[]
  /** Set if it is well-formed, and may be valid in another schema. */
  readonly mayFit?: 'subscription' | 'other' | undefined
  /** The request may be valid, but the database is down. */
  readonly isUnavailable?: boolean
}

export type Operation =
  | { readonly kind: 'query' | 'mutation'; readonly args: ExecutionArgs; run(): Promise<ExecutionResult> }
  /** `subscribe` resolves to what to join, or to the result with the errors that prevent it. */
  | {
      readonly kind: 'subscription'
      readonly args: ExecutionArgs
      subscribe(): Promise<Subscription | ExecutionResult>
    }

export interface Engine {
  /**
   * Operations that need the watched tables wait until the tables are known for the first time: a restarted server must not refuse
   * the first clients that reconnect. These operations are those that do not fit the schema without tables, and `watchedTables`.
   */
  prepare(params: Params, signal?: AbortSignal): Promise<Prepared>
}

/** Whether the schema has the watched tables of the database. */
export interface SchemaState {
  readonly isKnown: boolean
  /** Resolves once it has. */
  readonly known: Promise<void>
  /** Resolves if an attempt to reach the database has failed. Undefined: the database has been reached. */
  unreached(): Promise<void> | undefined
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
  /**
   * Whether a subscription's events depend on the viewer's claims; they always depend on the role. Default: for tables, if
   * there are roles.
   */
  readonly claimsMatter?: (source: EventSource<unknown>, viewer: Viewer) => boolean
  readonly toClientError: ClientErrors
  readonly schemaState: SchemaState
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
}

/** Memory of a filter per byte of its text, which includes parsed patterns. */
const FILTER_FACTOR = 4

/** Longest that a query or a mutation waits until the tables are known, in ms. */
const TABLES_PATIENCE_MS = 30_000

export function createEngine(options: EngineOptions): Engine {
  const { getEnveloped, contextFor, toClientError, claimsMatter = ofTables, cursors } = options
  const identities = new WeakMap<DocumentNode, Identity>()

  return {
    async prepare(asked, signal) {
      // A form, or a URL made by a program, sends an empty name for no name.
      const params = { ...asked, operationName: asked.operationName || undefined }
      const { schemaState } = options
      const prepared = prepare(params, signal)
      if (schemaState.isKnown) return prepared
      if (prepared.kind !== 'invalid') {
        if (!asksForTables(prepared.args)) return prepared
        // A page that shows the tables says why it cannot, while it cannot.
        const unreached = schemaState.unreached()
        const answered = unreached ? Promise.race([schemaState.known, unreached]) : schemaState.known
        await abortable(answered, limit(signal)).catch(() => undefined)
        return prepare(params, signal)
      }
      if (!prepared.mayFit) return prepared
      // A subscription waits as long as its client does: a client that resumes would take a refusal for the end.
      const ended = prepared.mayFit === 'subscription' && signal ? signal : limit(signal)
      await abortable(schemaState.known, ended).catch(() => undefined)
      return schemaState.isKnown
        ? prepare(params, signal)
        : { kind: 'invalid', errors: [toClientError(notReached())], isUnavailable: true }
    },
  }

  function prepare(params: Params, signal?: AbortSignal): Prepared {
    const { schema, parse, validate } = getEnveloped()
    if (isHashed(params.query, params.extensions))
      return { kind: 'invalid', errors: [persistedQueryNotSupported()] }
    if (typeof params.query !== 'string') return invalid('The request has no "query"; send {"query": "…"}.')
    let document: DocumentNode
    let operation: OperationDefinitionNode | null | undefined
    try {
      document = parse(params.query)
      operation = getOperationAST(document, params.operationName)
      // Before validation, which would report the variables of such a condition as missing.
      const isSubscription = operation?.operation === OperationTypeNode.SUBSCRIPTION
      if (operation && isSubscription && isConditional(document, operation)) {
        return invalid(
          'A subscription must have exactly one root field: @skip and @include are not allowed on it.',
        )
      }
      const errors = validate(schema, document)
      if (errors.length > 0)
        return { kind: 'invalid', errors, mayFit: isSubscription ? 'subscription' : 'other' }
    } catch (error) {
      return { kind: 'invalid', errors: [toClientError(error)] }
    }
    if (!operation) return { kind: 'invalid', errors: [missingOperation(document, params.operationName)] }
    const args: ExecutionArgs = {
      schema,
      document,
      contextValue: contextFor(params.viewer),
      variableValues: params.variables ?? null,
      operationName: params.operationName ?? null,
    }
    if (operation.operation !== OperationTypeNode.SUBSCRIPTION) {
      return { kind: operation.operation, args, run: async () => mask(await execute(args)) }
    }
    return { kind: 'subscription', args, subscribe: () => subscribe(args, params, signal) }
  }

  async function subscribe(
    args: ExecutionArgs,
    params: Params,
    signal: AbortSignal | undefined,
  ): Promise<Subscription | ExecutionResult> {
    const source: unknown = await createSourceEventStream(args)
    if (!(source instanceof EventSource)) return mask(source as ExecutionResult)
    try {
      // The beginning of a table's history comes from the catalogue, so it works even if the login may not read the log.
      if (source.topic.kind === 'table') await cursors.ready(signal)
      return { request: toRequest(args, params, source), after: await startOf(params, source, signal) }
    } catch (error) {
      return { errors: [toClientError(error)] }
    }
  }

  function toRequest(
    given: ExecutionArgs,
    params: Params,
    source: EventSource<unknown>,
  ): SubscriptionRequest<unknown> {
    const end = (error: unknown) => stringifyResult({ data: null, errors: [toClientError(error)] })
    const cursorOf = (event: unknown) => {
      const position = source.positionOf(event)
      return position && cursors.encode(position)
    }
    const identity = identityOf(given)
    // The request lives as long as the subscription: it keeps only the variables that the operation uses.
    const variables = declaredVariables(given)
    const args = { ...given, variableValues: variables }
    const asked = {
      viewer: params.viewer,
      query: params.query,
      operationName: params.operationName,
      variables,
    }
    const key = keyOf(identity, asked, source)
    return {
      key,
      bytes:
        (1 + FILTER_FACTOR) * (textSize(params.query ?? '') + sizeOf(variables)) +
        textSize(key) +
        documentSize(args.document),
      source,
      render(event) {
        const cursor = cursorOf(event)
        try {
          const result = execute({ ...args, rootValue: event })
          if ('then' in result) throw new Error('a field of a subscription did not resolve synchronously')
          return stringifyResult(mask(withoutFalseRemoval(result)), cursor)
        } catch (error) {
          if (isTooLong(error)) return stringifyResult({ data: null, errors: [tooLong()] }, cursor)
          return stringifyResult({ data: null, errors: [toClientError(error)] }, cursor)
        }
      },
      renderTooLarge: (event, bytes) =>
        stringifyResult({ data: null, errors: [tooLarge(bytes)] }, cursorOf(event)),
      renderEnd: end,
      renew: () => (getEnveloped().schema === args.schema ? undefined : renew(asked, source.audience)),
    }
  }

  /** Prepares the request again, for a new schema. */
  async function renew(asked: Params, audience: string | undefined): Promise<SubscriptionRequest<unknown>> {
    const prepared = prepare(asked)
    const result =
      prepared.kind === 'subscription' ? await prepared.subscribe() : { errors: invalidErrors(prepared) }
    if ('request' in result) {
      // The subscribers of a group share one decision about rows. From now on they may need different ones.
      const { source } = result.request
      if (source.audience === undefined || source.audience === audience) return result.request
      throw new ListenqlError('SCHEMA_CHANGED', 'other rights now decide about the rows', {
        hint: 'subscribe again',
      })
    }
    throw new ListenqlError(
      'SCHEMA_CHANGED',
      `the schema has changed, and this subscription no longer fits it: ${result.errors?.[0]?.message}`,
      { hint: 'read the schema again, and subscribe again' },
    )
  }

  function identityOf({ schema, document }: ExecutionArgs): Identity {
    let identity = identities.get(document)
    if (!identity) {
      identity = identify(schema, document)
      identities.set(document, identity)
    }
    return identity
  }

  function keyOf(
    { text, uses }: Identity,
    { operationName, variables = {}, viewer }: Params,
    source: EventSource<unknown>,
  ): string {
    const used = Object.entries(variables).filter(([name]) => uses.has(name))
    const who = source.audience ?? viewerKey(viewer, claimsMatter(source, viewer))
    return stableStringify([text, operationName ?? null, Object.fromEntries(used), who])
  }

  function mask(result: ExecutionResult): ExecutionResult {
    return result.errors ? { ...result, errors: result.errors.map(toClientError) } : result
  }
}

function declaredVariables({
  document,
  operationName,
  variableValues,
}: ExecutionArgs): Record<string, unknown> {
  const { variableDefinitions = [] } = getOperationAST(document, operationName) ?? {}
  const declared = new Set(variableDefinitions.map(({ variable }) => variable.name.value))
  return Object.fromEntries(Object.entries(variableValues ?? {}).filter(([name]) => declared.has(name)))
}

function ofTables(source: EventSource<unknown>, { role }: Viewer): boolean {
  return role !== undefined && source.topic.kind === 'table'
}

/** The JSON text of a result, as every transport carries it. */
export function stringifyResult(result: ExecutionResult, cursor?: string): string {
  const formatted = formatResult(result)
  if (cursor === undefined) return stringifyJson(formatted)
  const extensions = { ...formatted.extensions, cursor }
  return stringifyJson({ ...formatted, extensions })
}

/**
 * Precedence: the position that the client remembers by itself, `extensions.after`, the argument.
 * @throws ListenqlError CURSOR_INVALID
 */
async function startOf(
  { lastEventId, extensions }: Params,
  source: EventSource<unknown>,
  signal: AbortSignal | undefined,
): Promise<Position | undefined> {
  const given = lastEventId || (extensions?.after ?? source.after)
  return given == null ? undefined : source.decode(given, signal)
}

/** Aborts with the signal, or after TABLES_PATIENCE_MS. */
function limit(signal: AbortSignal | undefined): AbortSignal {
  const patience = AbortSignal.timeout(TABLES_PATIENCE_MS)
  return signal ? AbortSignal.any([signal, patience]) : patience
}

function notReached(): ListenqlError {
  return new ListenqlError(
    'DATABASE_FAILED',
    'the database has not been reached since the server started: its tables are not known yet',
    { hint: 'try again; the log of the server has the reason' },
  )
}

function invalidErrors(prepared: Prepared): readonly GraphQLError[] {
  return prepared.kind === 'invalid' ? prepared.errors : []
}

function invalid(message: string): Invalid {
  return { kind: 'invalid', errors: [new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })] }
}

function tooLarge(bytes: number): GraphQLError {
  return new GraphQLError(
    `This event has ${bytes} bytes with the fields that you select, more than this server delivers.`,
    {
      extensions: {
        code: 'EVENT_TOO_LARGE',
        bytes,
        hint: 'select fewer fields, or raise --max-event on the server',
      },
    },
  )
}

/** The longest string in JavaScript has 512 MiB. */
function isTooLong(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('string length')
}

function tooLong(): GraphQLError {
  return new GraphQLError(
    'This event is larger, with the fields that you select, than any server can deliver.',
    {
      extensions: { code: 'EVENT_TOO_LARGE', hint: 'select fewer fields' },
    },
  )
}
