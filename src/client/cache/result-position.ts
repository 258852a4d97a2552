import type { DocumentNode } from 'graphql'
import type { Tables } from './tables.js'

/**
 * Returns the position at which the rows of a result were read, so that the changes after it are exactly those that the result lacks.
 * @returns undefined if the query does not select `cursor`, or reads several lists, each at a position of its own
 */
export function resultPosition(
  document: DocumentNode,
  data: unknown,
  { roots }: Pick<Tables, 'roots'>,
): string | undefined {
  const operation = document.definitions.find(definition => definition.kind === 'OperationDefinition')
  const fields = operation?.selectionSet.selections ?? []
  const lists = fields.filter(node => node.kind !== 'Field' || node.name.value in roots)
  const [list] = lists
  if (lists.length !== 1 || list?.kind !== 'Field' || typeof data !== 'object') return undefined
  const cursor = list.selectionSet?.selections.find(
    node => node.kind === 'Field' && node.name.value === 'cursor',
  )
  if (cursor?.kind !== 'Field') return undefined
  const nameOf = (node: typeof list) => node.alias?.value ?? node.name.value
  const snapshot = (data as Record<string, Record<string, unknown> | null> | null)?.[nameOf(list)]
  const value = snapshot?.[nameOf(cursor)]
  return typeof value === 'string' ? value : undefined
}
