import { type DocumentNode, GraphQLError, type GraphQLSchema } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import { createDocumentCache } from './document-cache.js'
import type { Enveloped } from './engine.js'
import { type ClientErrors, isTooDeep, TOO_DEEP } from './errors.js'

/** Most tokens in a document: without a limit, a thousand aliases of a large field are one small request. */
const MAX_TOKENS = 5000
/** Most characters of documents whose parsed form is kept; that takes up to 200 times as much. */
const MAX_CACHED = 512 * 1024

/**
 * Yoga answers queries and mutations over HTTP, and lends its parser and validator, with their caches, to the streams. A new
 * schema gets a new Yoga, with caches of its own.
 */
export function createGraphqlYoga(options: YogaOptions) {
  let yoga = createOne(options, options.schema)
  return {
    use(schema: GraphQLSchema): void {
      yoga = createOne(options, schema)
    },
    fetch: (url: string, init: RequestInit, context: object) =>
      yoga.fetch(url, init, { executeWith: context }),
    getEnveloped: (): Enveloped => yoga.getEnveloped({}) as unknown as Enveloped,
  }
}

interface YogaOptions {
  readonly schema: GraphQLSchema
  readonly toClientError: ClientErrors
  readonly endpoint: string
}

function createOne(options: YogaOptions, schema: GraphQLSchema) {
  return createYoga<{ executeWith: object }>({
    schema,
    context: ({ executeWith }) => executeWith,
    graphqlEndpoint: options.endpoint,
    parserAndValidationCache: {
      documentCache: createDocumentCache<DocumentNode>(MAX_CACHED),
      errorCache: createDocumentCache<unknown>(MAX_CACHED),
    },
    maskedErrors: { maskError: options.toClientError },
    // Ours: origins are checked before, GraphiQL is served from a cache, and there is no landing page beside ours.
    cors: false,
    graphiql: false,
    landingPage: false,
    multipart: false,
    logging: false,
    plugins: [limits, codeSyntaxErrors],
  })
}

/** A syntax error is the one error of a request to which Yoga gives no code. */
const codeSyntaxErrors: Plugin = {
  onParse() {
    return ({ result }) => {
      if (result instanceof GraphQLError) result.extensions.code ??= 'GRAPHQL_PARSE_FAILED'
    }
  },
}

const limits: Plugin = {
  onParse({ parseFn, setParseFn }) {
    setParseFn((source, options) => guardDepth(() => parseFn(source, { ...options, maxTokens: MAX_TOKENS })))
  },
  onValidate({ validateFn, setValidationFn }) {
    setValidationFn((...args) => guardDepth(() => validateFn(...args)))
  },
}

function guardDepth<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (isTooDeep(error)) throw new GraphQLError(TOO_DEEP, { extensions: { code: 'BAD_REQUEST' } })
    throw error
  }
}

export type GraphqlYoga = ReturnType<typeof createGraphqlYoga>
