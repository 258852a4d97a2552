import {
  type DirectiveNode,
  type DocumentNode,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'

/**
 * Whether @skip or @include is used at the root of a subscription, where it is not allowed (CollectSubscriptionFields in
 * https://spec.graphql.org/September2025/#sec-Single-Root-Field). graphql-js 16 does not check it, and fails if no field is left.
 */
export function isConditional(document: DocumentNode, { selectionSet }: OperationDefinitionNode): boolean {
  const decides = ({ name }: DirectiveNode) => name.value === 'skip' || name.value === 'include'
  const seen = new Set<string>()
  const look = (selections: SelectionSetNode | undefined): boolean =>
    selections?.selections.some(selection => {
      if (selection.directives?.some(decides)) return true
      if (selection.kind === Kind.INLINE_FRAGMENT) return look(selection.selectionSet)
      if (selection.kind !== Kind.FRAGMENT_SPREAD || seen.has(selection.name.value)) return false
      seen.add(selection.name.value)
      const fragment = document.definitions.find(
        one => one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === selection.name.value,
      )
      return fragment?.kind === Kind.FRAGMENT_DEFINITION && look(fragment.selectionSet)
    }) ?? false
  return look(selectionSet)
}
