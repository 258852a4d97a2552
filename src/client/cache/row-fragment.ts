import type { DocumentNode, FieldNode, Kind } from 'graphql'

/** Returns a document with one fragment that selects columns. graphql's `parse` would enlarge a bundle. */
export function rowFragment(type: string, columns: readonly string[]): DocumentNode {
  const named = (value: string) => ({ kind: 'Name' as Kind.NAME, value })
  const field = (name: string): FieldNode => ({ kind: 'Field' as Kind.FIELD, name: named(name) })
  return {
    kind: 'Document' as Kind.DOCUMENT,
    definitions: [
      {
        kind: 'FragmentDefinition' as Kind.FRAGMENT_DEFINITION,
        name: named(`Changed${type}`),
        typeCondition: { kind: 'NamedType' as Kind.NAMED_TYPE, name: named(type) },
        selectionSet: {
          kind: 'SelectionSet' as Kind.SELECTION_SET,
          selections: ['__typename', ...columns].map(field),
        },
      },
    ],
  }
}
