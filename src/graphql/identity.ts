import {
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  print,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql'

/** What makes two subscriptions the same, as far as their document goes. */
export interface Identity {
  /** The document without what does not count: layout, and the start position. */
  readonly text: string
  /** Names of the variables that count. */
  readonly uses: ReadonlySet<string>
}

/** Where a subscription starts (`after` of its root field) is each subscriber's own, and no part of what it asks for. */
export function identify(schema: GraphQLSchema, document: DocumentNode): Identity {
  const typeInfo = new TypeInfo(schema)
  const root = schema.getSubscriptionType()
  const stripped = visit(
    document,
    visitWithTypeInfo(typeInfo, {
      [Kind.FIELD]: {
        enter(node) {
          if (typeInfo.getParentType() !== root || !node.arguments?.length) return undefined
          return { ...node, arguments: node.arguments.filter(({ name }) => name.value !== 'after') }
        },
      },
    }),
  )
  const uses = new Set<string>()
  const withoutDefinitions = visit(stripped, {
    [Kind.VARIABLE_DEFINITION]: () => false,
    [Kind.VARIABLE]: ({ name }) => void uses.add(name.value),
  })
  const text = print(
    visit(withoutDefinitions, {
      [Kind.VARIABLE_DEFINITION]: ({ variable }) => (uses.has(variable.name.value) ? false : null),
    }),
  )
  return { text, uses }
}
