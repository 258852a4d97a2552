import {
  createSourceEventStream,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLSchema,
  getOperationAST,
} from 'graphql'
import { createFrame } from '../delivery/stream.js'
import type { SubscriptionRequest } from '../delivery/subscription.js'
import type { TransactionFrames } from '../delivery/transaction-ends.js'
import { ListenqlError } from '../lib/errors.js'
import { sizeOf, textSize } from '../lib/size-of.js'
import type { Cursors } from '../log/cursors.js'
import type { Position } from '../log/position.js'
import { EventSource } from '../sources/source.js'
import { documentSize } from './document-size.js'
import { groupKey } from './group-key.js'
import type { Params, Prepared, Subscription, TextParams } from './operation.js'
import { type RenderOptions, renderEvents } from './render-event.js'
import { withClientErrors } from './result.js'

export interface SubscribeOptions extends RenderOptions {
  readonly cursors: Pick<Cursors, 'encode' | 'ready'>
  /** The schema that is in force. */
  readonly presentSchema: () => GraphQLSchema
  /** Parses and validates a request under that schema. */
  readonly prepare: (params: TextParams) => Prepared
}

/** Results without data, for clients that ask for them: others might take them for errors. */
const TRANSACTIONS: TransactionFrames = {
  announcement: createFrame('{"extensions":{"transactionEnd":false}}'),
  end: createFrame('{"extensions":{"transactionEnd":true}}'),
}

/** Memory of a filter per byte of its text, which includes parsed patterns. */
const FILTER_FACTOR = 4

/**
 * From a valid operation to the request for a group: the resolver of the root field checks rights and returns a source, which is
 * described and not opened; the cursor becomes a position. After a change of the schema the same request is made again.
 */
export function createSubscribe(options: SubscribeOptions) {
  const { cursors, toClientError, presentSchema, prepare } = options

  /** @returns the group to join, or the result with the errors that prevent it; without errors if the client has left */
  return async function subscribe(
    args: ExecutionArgs,
    params: TextParams,
    signal: AbortSignal | undefined,
  ): Promise<Subscription | ExecutionResult> {
    const source: unknown = await createSourceEventStream(args)
    if (!(source instanceof EventSource)) return withClientErrors(source as ExecutionResult, toClientError)
    try {
      // The beginning of a table's history comes from the catalogue, so it works even if the login may not read the log.
      if (source.topic.kind === 'table') await cursors.ready(signal)
      const after = await startOf(params, source, signal)
      const transactions = marksEnds(params, source) ? TRANSACTIONS : undefined
      return { request: toRequest(args, params, source), after, transactions }
    } catch (error) {
      return { errors: signal?.aborted ? [] : [toClientError(error)] }
    }
  }

  function toRequest(
    given: ExecutionArgs,
    { viewer, query, operationName }: TextParams,
    source: EventSource<unknown>,
  ): SubscriptionRequest<unknown> {
    // The request lives as long as the subscription: it keeps only the variables that the operation declares.
    const variables = declaredVariables(given)
    const args = { ...given, variableValues: variables }
    const asked = { viewer, query, operationName, variables }
    const key = groupKey(args, asked, source)
    const text = textSize(query) + sizeOf(variables)
    return {
      key,
      bytes: (1 + FILTER_FACTOR) * text + textSize(key) + documentSize(args.document),
      source,
      ...renderEvents(args, source, options),
      renew: () => (presentSchema() === args.schema ? undefined : renew(asked, source.audience)),
    }
  }

  async function renew(
    asked: TextParams,
    audience: string | undefined,
  ): Promise<SubscriptionRequest<unknown>> {
    const prepared = prepare(asked)
    const result = prepared.kind === 'subscription' ? await prepared.subscribe() : prepared
    if ('request' in result) {
      // The subscribers of a group share one decision about rows. From now on they may need different ones.
      const { source } = result.request
      if (source.audience === undefined || source.audience === audience) return result.request
      throw new ListenqlError('SCHEMA_CHANGED', 'other rights now decide about the rows', {
        hint: 'subscribe again',
      })
    }
    const [error] = 'errors' in result ? (result.errors ?? []) : []
    // The operation may still fit: only the database can tell.
    if (error?.extensions.code === 'DATABASE_FAILED')
      throw new ListenqlError('DATABASE_FAILED', error.message, { hint: 'subscribe again' })
    throw new ListenqlError(
      'SCHEMA_CHANGED',
      `the schema has changed, and this subscription no longer fits it: ${error?.message}`,
      { hint: 'read the schema again, and subscribe again' },
    )
  }
}

/** Whether the client wants to know where transactions end. States skip what lies between them. */
function marksEnds({ extensions }: Params, { topic, isState }: EventSource<unknown>): boolean {
  return extensions?.transactionEnds === true && topic.kind === 'table' && !isState
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

/**
 * Precedence: the position that the client remembers by itself, `extensions.after`, the argument.
 * @throws ListenqlError CURSOR_INVALID
 */
async function startOf(
  { lastEventId, extensions }: Params,
  source: EventSource<unknown>,
  signal: AbortSignal | undefined,
): Promise<Position | undefined> {
  if (source.isState) return undefined // a fresh result is the same for all
  const given = lastEventId || (extensions?.after ?? source.after)
  return given == null ? undefined : source.decode(given, signal)
}
