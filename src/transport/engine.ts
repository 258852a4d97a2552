import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  OperationTypeNode,
  print,
} from 'graphql'
import type { Request } from '../delivery/groups.js'
import { EventSource } from '../events/source.js'
import { stableStringify } from '../lib/stable-stringify.js'
import { type ClientErrors, formatResult } from './errors.js'

/** A GraphQL request as any transport brings it. */
export interface Params {
  readonly query?: string | undefined
  readonly operationName?: string | undefined
  readonly variables?: Record<string, unknown> | undefined
  readonly extensions?: Record<string, unknown> | undefined
}

/** A request that has been parsed and validated. */
export type Prepared = { readonly kind: 'invalid'; readonly errors: readonly GraphQLError[] } | Operation

export type Operation =
  | { readonly kind: 'query' | 'mutation'; readonly args: ExecutionArgs; run(): Promise<ExecutionResult> }
  /** `subscribe` resolves to what to join, or to the result that says why not. */
  | {
      readonly kind: 'subscription'
      readonly args: ExecutionArgs
      subscribe(): Promise<Request<unknown> | ExecutionResult>
    }

export interface Engine {
  prepare(params: Params): Prepared
}

/** The part of a Yoga server that parses and validates, with its caches and plugins: the same for all transports. */
export interface Enveloped {
  readonly schema: GraphQLSchema
  parse(source: string): DocumentNode
  validate(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[]
}

export interface EngineOptions {
  readonly getEnveloped: () => Enveloped
  /** The context for every execution of ours; sources are opened by delivery, not by the schema. */
  readonly contextValue: object
  readonly toClientError: ClientErrors
}

export function createEngine(options: EngineOptions): Engine {
  const { getEnveloped, contextValue, toClientError } = options
  const printed = new WeakMap<DocumentNode, string>()

  return {
    prepare(params) {
      const { schema, parse, validate } = getEnveloped()
      if (typeof params.query !== 'string') return invalid('The request has no "query"; send {"query": "…"}.')
      let document: DocumentNode
      try {
        document = parse(params.query)
        const errors = validate(schema, document)
        if (errors.length > 0) return { kind: 'invalid', errors }
      } catch (error) {
        return { kind: 'invalid', errors: [toClientError(error)] }
      }
      const operation = getOperationAST(document, params.operationName)
      if (!operation) {
        return invalid(
          params.operationName
            ? `The document has no operation named "${params.operationName}".`
            : 'The document has several operations; say which with "operationName".',
        )
      }
      const args: ExecutionArgs = {
        schema,
        document,
        contextValue,
        variableValues: params.variables ?? null,
        operationName: params.operationName ?? null,
      }
      if (operation.operation !== OperationTypeNode.SUBSCRIPTION) {
        return { kind: operation.operation, args, run: async () => mask(await execute(args)) }
      }
      return { kind: 'subscription', args, subscribe: () => subscribe(args, params) }
    },
  }

  async function subscribe(args: ExecutionArgs, params: Params): Promise<Request<unknown> | ExecutionResult> {
    const source: unknown = await createSourceEventStream(args)
    if (!(source instanceof EventSource)) return mask(source as ExecutionResult)
    return {
      key: stableStringify([canonical(args.document), params.operationName ?? null, params.variables ?? {}]),
      source,
      render(event) {
        try {
          const result = execute({ ...args, rootValue: event })
          if ('then' in result) throw new Error('a field of a subscription did not resolve synchronously')
          return stringifyResult(mask(result))
        } catch (error) {
          return stringifyResult({ data: null, errors: [toClientError(error)] })
        }
      },
      renderTooLarge: (_event, bytes) => stringifyResult({ data: null, errors: [tooLarge(bytes)] }),
    }
  }

  function canonical(document: DocumentNode): string {
    let text = printed.get(document)
    if (text === undefined) {
      text = print(document)
      printed.set(document, text)
    }
    return text
  }

  function mask(result: ExecutionResult): ExecutionResult {
    return result.errors ? { ...result, errors: result.errors.map(toClientError) } : result
  }
}

/** The JSON text of a result, as every transport carries it. */
export function stringifyResult(result: ExecutionResult): string {
  return JSON.stringify(formatResult(result))
}

function invalid(message: string): Prepared {
  return { kind: 'invalid', errors: [new GraphQLError(message, { extensions: { code: 'BAD_REQUEST' } })] }
}

function tooLarge(bytes: number): GraphQLError {
  return new GraphQLError(
    `This event has ${bytes} bytes as you asked for it, more than this server delivers.`,
    {
      extensions: {
        code: 'EVENT_TOO_LARGE',
        bytes,
        hint: 'ask for fewer fields, or raise --max-event on the server',
      },
    },
  )
}
