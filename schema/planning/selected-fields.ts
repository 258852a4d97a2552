import {
  type FieldNode,
  GraphQLIncludeDirective,
  type GraphQLResolveInfo,
  GraphQLSkipDirective,
  getDirectiveValues,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'

/** What is needed of an operation to see which of its fields are executed. */
export type Operation = Pick<GraphQLResolveInfo, 'fragments' | 'variableValues'>

/**
 * The fields that are executed, with those that are merged, by response key (CollectFields in
 * https://spec.graphql.org/September2025/#sec-Field-Collection). All types are objects, so conditions on types always hold. Fields of
 * introspection are left out.
 */
export function selectedFields(
  sets: Iterable<SelectionSetNode | undefined>,
  operation: Operation,
): Map<string, FieldNode[]> {
  const fields = new Map<string, FieldNode[]>()
  const spread = new Set<string>()
  function walk(set: SelectionSetNode | undefined): void {
    for (const node of set?.selections ?? []) {
      if (!isIncluded(node, operation)) continue
      if (node.kind === Kind.INLINE_FRAGMENT) walk(node.selectionSet)
      else if (node.kind === Kind.FRAGMENT_SPREAD) {
        const { value } = node.name
        if (!spread.has(value)) walk(operation.fragments[value]?.selectionSet)
        spread.add(value)
      } else if (!node.name.value.startsWith('__')) {
        const key = node.alias?.value ?? node.name.value
        fields.set(key, [...(fields.get(key) ?? []), node])
      }
    }
  }
  for (const set of sets) walk(set)
  return fields
}

export function setsOf(nodes: readonly FieldNode[]): (SelectionSetNode | undefined)[] {
  return nodes.map(({ selectionSet }) => selectionSet)
}

function isIncluded(node: SelectionNode, { variableValues }: Operation): boolean {
  if (getDirectiveValues(GraphQLSkipDirective, node, variableValues)?.if === true) return false
  return getDirectiveValues(GraphQLIncludeDirective, node, variableValues)?.if !== false
}
