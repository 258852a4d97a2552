import {
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  print,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql'

/** What two documents must have in common for subscriptions to share a group. */
export interface Identity {
  /** The document without its layout and its start position. */
  readonly text: string
  /** Names of the variables that matter. */
  readonly uses: ReadonlySet<string>
}

/** The start (`after` of the root field) belongs to the subscriber and not to the identity of the subscription. */
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
