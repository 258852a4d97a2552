import { type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql'
import { columnsOf, type Filter } from '../src/filters/index.js'
import type { TypedTable } from './table-schema.js'

/**
 * The columns, by their names in the table, that an operation selects below the field that is being resolved. Fields that @skip and
 * @include leave out count, too.
 * @param images the fields of that field which are rows or keys
 */
export function createColumnFinder({ columns }: TypedTable, images: readonly string[]) {
  const byField = new Map(columns.map(({ field, column }) => [field, column.name]))
  return function selectedColumns({ fieldNodes, fragments }: GraphQLResolveInfo): string[] {
    const found = new Set<string>()
    function walk(
      set: SelectionSetNode | undefined,
      visit: (name: string, set: SelectionSetNode | undefined) => void,
    ): void {
      for (const node of set?.selections ?? []) {
        if (node.kind === Kind.FIELD) visit(node.name.value, node.selectionSet)
        else if (node.kind === Kind.INLINE_FRAGMENT) walk(node.selectionSet, visit)
        else walk(fragments[node.name.value]?.selectionSet, visit)
      }
    }
    for (const { selectionSet } of fieldNodes) {
      walk(selectionSet, (name, inner) => {
        if (!images.includes(name)) return
        walk(inner, field => {
          const column = byField.get(field)
          if (column !== undefined) found.add(column)
        })
      })
    }
    return [...found]
  }
}

/** All columns that a request uses: it selects them, filters or sorts by them. */
export function usedColumns(
  selected: readonly string[],
  filter: Filter,
  orderBy: readonly { readonly column: string }[] = [],
): string[] {
  return [...new Set([...selected, ...columnsOf(filter), ...orderBy.map(({ column }) => column)])]
}
