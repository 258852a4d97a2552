import type {
  ArgumentNode,
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  OperationDefinitionNode,
  SelectionSetNode,
  ValueNode,
} from 'graphql'
import { createReads, type Reads } from './reads.js'
import type { TableField, Tables } from './tables.js'

/**
 * Finds what an operation shows of the watched tables. Where the document alone does not tell whether a change matters, it does.
 *
 * @param document with the operation and its fragments
 * @param variables in `where` and `orderBy`, they name columns
 */
export function documentReads(
  document: DocumentNode,
  variables: Readonly<Record<string, unknown>> | undefined,
  tables: Tables,
): Reads {
  const fragments = new Map<string, FragmentDefinitionNode>()
  let operation: OperationDefinitionNode | undefined
  for (const definition of document.definitions) {
    if (definition.kind === 'OperationDefinition') operation = definition
    else if (definition.kind === 'FragmentDefinition') fragments.set(definition.name.value, definition)
  }
  const reads = createReads()
  if (operation?.operation !== 'query') return reads

  function* fieldsOf({ selections }: SelectionSetNode): Generator<FieldNode> {
    for (const selection of selections) {
      if (selection.kind === 'Field') yield selection
      else if (selection.kind === 'InlineFragment') yield* fieldsOf(selection.selectionSet)
      else {
        const fragment = fragments.get(selection.name.value)
        if (fragment) yield* fieldsOf(fragment.selectionSet)
      }
    }
  }
  /** Notes what the arguments of a field mention of its table. */
  function readArguments(args: readonly ArgumentNode[] | undefined, type: string, field: string): void {
    for (const { name, value } of args ?? [])
      if (name.value === 'where' || name.value === 'orderBy')
        readCondition(plain(value, variables), type, field)
  }
  function readCondition(value: unknown, type: string, field: string): void {
    if (Array.isArray(value)) for (const item of value) readCondition(item, type, field)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return
    for (const [name, nested] of Object.entries(value)) {
      const link = tables.rows[type]?.links[name]
      if (link) {
        reads.decidesAll(type)
        reads.decidesAll(link.type)
        reads.filters(link.type, field)
        readCondition(nested, link.type, field)
      } else {
        // `and`, `or`, `not`, `some` and operators are no columns, and match none.
        reads.decides(type, name)
        readCondition(nested, type, field)
      }
    }
  }
  function readField(node: FieldNode, holder: string, { type, shows }: TableField): void {
    const field = `${holder}.${node.name.value}`
    reads.shows(type, field)
    readArguments(node.arguments, type, field)
    if (shows === 'aggregate') reads.decidesAll(type)
    // Which column links the rows is not in the schema.
    if (shows === 'rows' && holder !== tables.query) reads.decidesAll(type)
    if (shows === 'row') {
      reads.decidesAll(holder)
      if (mayHoldTheKey(type, holder)) reads.decidesAll(type)
    }
    if (!node.selectionSet || shows === 'aggregate') return
    if (shows !== 'snapshot') return readRow(node.selectionSet, type)
    for (const inner of fieldsOf(node.selectionSet))
      if (inner.name.value === 'rows' && inner.selectionSet) readRow(inner.selectionSet, type)
  }
  /** A unique foreign key makes a field of one row in both directions: the other table may hold the foreign key. */
  function mayHoldTheKey(type: string, holder: string): boolean {
    const back = Object.values(tables.rows[type]?.links ?? {})
    return back.some(link => link.type === holder && link.shows === 'row')
  }
  function readRow(selections: SelectionSetNode, type: string): void {
    const table = tables.rows[type]
    const missing = new Set(table?.key)
    for (const node of fieldsOf(selections)) {
      const name = node.name.value
      missing.delete(name)
      const link = table?.links[name]
      if (link) readField(node, type, link)
      else if (name !== '__typename' && !table?.columns.includes(name)) reads.decidesAll(type)
    }
    if (missing.size > 0 || table?.key.length === 0) reads.decidesAll(type) // such rows are not normalised
  }
  for (const node of fieldsOf(operation.selectionSet)) {
    const root = tables.roots[node.name.value]
    if (root) readField(node, tables.query, root)
  }
  return reads
}

/** Returns an argument as JSON. */
function plain(node: ValueNode, variables: Readonly<Record<string, unknown>> = {}): unknown {
  if (node.kind === 'Variable') return variables[node.name.value]
  if (node.kind === 'ListValue') return node.values.map(value => plain(value, variables))
  if (node.kind !== 'ObjectValue') return undefined
  return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, plain(value, variables)]))
}
