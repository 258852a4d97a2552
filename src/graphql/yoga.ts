import { type DocumentNode, GraphQLError, type GraphQLSchema, NoSchemaIntrospectionCustomRule } from 'graphql'
import { createYoga, isAsyncIterable, type Plugin } from 'graphql-yoga'
import { relationsInChanges } from '../../schema/index.js'
import { stringifyJson } from '../filters/index.js'
import { textSize } from '../lib/size-of.js'
import { checkDocument, checkDocumentSize, type DocumentLimits, tooManyTokens } from './document-limits.js'
import { documentSize } from './document-size.js'
import { createDocumentCache } from './documents/document-cache.js'
import type { Enveloped } from './engine.js'
import { type ClientErrors, isTooDeep, TOO_DEEP } from './errors.js'

/** Most memory of cached parsed documents, approximately, in bytes. */
const MAX_CACHED_BYTES = 32 * 1024 * 1024
/** Most memory of the texts of cached documents with errors, in bytes. */
const MAX_ERRORS_BYTES = 4 * 1024 * 1024

/**
 * The parser and validator of Yoga, with their caches and plugins, for all transports. Each schema gets a new Yoga with new
 * caches.
 */
export function createGraphqlYoga(options: YogaOptions) {
  let yoga = createOne(options, options.schema)
  return {
    use(schema: GraphQLSchema): void {
      yoga = createOne(options, schema)
    },
    getEnveloped: (): Enveloped => yoga.getEnveloped({}) as unknown as Enveloped,
  }
}

interface YogaOptions {
  readonly schema: GraphQLSchema
  readonly toClientError: ClientErrors
  readonly limits: DocumentLimits
  /** False: introspection is refused, and errors suggest no names. */
  readonly introspection: boolean
}

function createOne(options: YogaOptions, schema: GraphQLSchema) {
  return createYoga({
    schema,
    parserAndValidationCache: {
      documentCache: createDocumentCache<DocumentNode>(
        MAX_CACHED_BYTES,
        (text, document) => textSize(text) + documentSize(document),
      ),
      errorCache: createDocumentCache<unknown>(MAX_ERRORS_BYTES, textSize),
    },
    maskedErrors: { maskError: options.toClientError },
    logging: false,
    plugins: [
      limit(options.limits, options.toClientError),
      ...(options.introspection ? [] : [keepSchemaSecret]),
      refuseRelationsInChanges,
      codeSyntaxErrors,
      keepJsonText,
    ],
  })
}

/** Yoga gives no code to syntax errors, but to all other errors of requests. */
const codeSyntaxErrors: Plugin = {
  onParse() {
    return ({ result }) => {
      if (result instanceof GraphQLError) result.extensions.code ??= 'GRAPHQL_PARSE_FAILED'
    }
  },
}

/** Yoga serialises a result with the result's own function `stringify`. */
const keepJsonText: Plugin = {
  onExecute: () => ({
    onExecuteDone({ result, setResult }) {
      if (!isAsyncIterable(result)) setResult(Object.assign(result, { stringify: stringifyJson }))
    },
  }),
}

/** Checks during parsing, whose result is cached: each document is measured once. Refusals are cached, too. */
function limit(limits: DocumentLimits, toClientError: ClientErrors): Plugin {
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => {
        try {
          checkDocumentSize(typeof source === 'string' ? source : source.body, limits)
          const document = guardDepth(() => parseFn(source, { ...options, maxTokens: limits.maxTokens }))
          checkDocument(document, limits)
          return document
        } catch (error) {
          if (error instanceof GraphQLError && TOO_MANY_TOKENS.test(error.message))
            throw toClientError(tooManyTokens(limits))
          throw error instanceof GraphQLError ? error : toClientError(error)
        }
      })
    },
    onValidate({ validateFn, setValidationFn }) {
      setValidationFn((...args) => guardDepth(() => validateFn(...args)))
    },
  }
}

/** The message of graphql-js. */
const TOO_MANY_TOKENS = /more tha[nt] \d+ tokens/

const refuseRelationsInChanges: Plugin = {
  onValidate: ({ addValidationRule }) => addValidationRule(relationsInChanges),
}

const keepSchemaSecret: Plugin = {
  onValidate({ addValidationRule, validateFn, setValidationFn }) {
    addValidationRule(NoSchemaIntrospectionCustomRule)
    setValidationFn((schema, document, rules, options) =>
      validateFn(schema, document, rules, { ...options, hideSuggestions: true }),
    )
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
