import { GraphQLError, type GraphQLSchema } from 'graphql'
import { createYoga, type Plugin } from 'graphql-yoga'
import type { Enveloped } from './engine.js'
import type { ClientErrors } from './errors.js'

/** Yoga answers queries and mutations over HTTP, and lends its parser and validator, with their caches, to the streams. */
export function createGraphqlYoga(options: {
  readonly schema: GraphQLSchema
  readonly contextValue: object
  readonly toClientError: ClientErrors
  readonly endpoint: string
}) {
  const yoga = createYoga({
    schema: options.schema,
    context: () => options.contextValue,
    graphqlEndpoint: options.endpoint,
    maskedErrors: { maskError: options.toClientError },
    // Ours: origins are checked before, GraphiQL is served from a cache, and there is no landing page beside ours.
    cors: false,
    graphiql: false,
    landingPage: false,
    multipart: false,
    logging: false,
    plugins: [codeSyntaxErrors],
  })
  return {
    fetch: (url: string, init: RequestInit) => yoga.fetch(url, init),
    getEnveloped: (): Enveloped => yoga.getEnveloped({}) as unknown as Enveloped,
  }
}

/** A syntax error is the one error of a request to which Yoga gives no code. */
const codeSyntaxErrors: Plugin = {
  onParse() {
    return ({ result }) => {
      if (result instanceof GraphQLError) result.extensions.code ??= 'GRAPHQL_PARSE_FAILED'
    }
  },
}

export type GraphqlYoga = ReturnType<typeof createGraphqlYoga>
