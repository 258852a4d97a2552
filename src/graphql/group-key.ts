import {
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  print,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql'
import { type Viewer, viewerKey } from '../auth/viewer.js'
import { stableStringify } from '../lib/json/stable-stringify.js'
import type { EventSource } from '../sources/source.js'
import type { Params } from './operation.js'

/**
 * The key of a subscription's group. Subscriptions with equal keys get equal results for every event: their documents differ at most
 * in layout and start position, their variables only in those that are not used, and their viewers see the same.
 */
export function groupKey(
  { schema, document }: { readonly schema: GraphQLSchema; readonly document: DocumentNode },
  { operationName, variables = {}, viewer }: Pick<Params, 'operationName' | 'variables' | 'viewer'>,
  source: EventSource<unknown>,
): string {
  const { text, uses } = identityOf(schema, document)
  const used = Object.entries(variables).filter(([name]) => uses.has(name))
  const audience = source.audience ?? viewerKey(viewer, claimsMatter(source, viewer))
  return stableStringify([text, operationName ?? null, Object.fromEntries(used), audience])
}

/** Whether a subscription's events depend on the viewer's claims; they always depend on the role. */
function claimsMatter({ topic }: EventSource<unknown>, { role }: Viewer): boolean {
  return role !== undefined && topic.kind === 'table'
}

/** The part of a document that matters. */
interface Identity {
  /** The document without its layout and its start position. */
  readonly text: string
  /** Names of the variables that matter. */
  readonly uses: ReadonlySet<string>
}

/** By schema, since a trusted document is parsed once for all schemas. */
const identities = new WeakMap<GraphQLSchema, WeakMap<DocumentNode, Identity>>()

function identityOf(schema: GraphQLSchema, document: DocumentNode): Identity {
  const known = identities.get(schema) ?? new WeakMap<DocumentNode, Identity>()
  identities.set(schema, known)
  const identity = known.get(document) ?? identify(schema, document)
  known.set(document, identity)
  return identity
}

/** The start (`after` of the root field) belongs to the subscriber and not to the group. */
function identify(schema: GraphQLSchema, document: DocumentNode): Identity {
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
