import { columnsOf, type Filter, relatedIn } from '../filters/index.js'
import { nodesOf, type Plan, type PlanNode } from './plan.js'

/**
 * The columns that a plan uses, by the oids of their tables: it selects them, filters, sorts, groups or links by them. A viewer needs
 * the right to read all of them.
 */
export function usedColumns(plan: Plan): ReadonlyMap<string, readonly string[]> {
  const used = new Map<string, Set<string>>([...plan.tables.keys()].map(relid => [relid, new Set()]))
  const use = (relid: string, columns: readonly string[]) => {
    for (const column of columns) used.get(relid)?.add(column)
  }
  const useFilter = (relid: string, filter: Filter) => {
    use(relid, columnsOf(filter))
    for (const { link, filter: inner } of relatedIn(filter)) {
      use(
        link.relid,
        link.pairs.map(({ remote }) => remote.name),
      )
      useFilter(link.relid, inner)
    }
  }
  for (const node of nodesOf(plan)) {
    const { relid } = node.table
    use(relid, ownColumns(node))
    useFilter(relid, node.filter)
    if (node.kind === 'groups') continue
    for (const child of node.children.values()) use(relid, child.kind === 'groups' ? [] : localColumns(child))
  }
  return new Map([...used].map(([relid, columns]) => [relid, [...columns]]))
}

/** The columns of the node above by which a node is linked. */
export function localColumns({ link }: PlanNode): string[] {
  return link?.pairs.map(({ local }) => local.name) ?? []
}

/** The columns of its own table that a node reads or links by, without those of its filter. */
export function ownColumns(node: PlanNode): string[] {
  const linked = node.link?.pairs.map(({ remote }) => remote.name) ?? []
  if (node.kind === 'roots') return []
  if (node.kind === 'rows') return [...linked, ...node.columns, ...node.orderBy.map(({ column }) => column)]
  const measured = node.measures.flatMap(({ column }) => column?.name ?? [])
  return [...linked, ...measured, ...(node.kind === 'groups' ? node.by : [])]
}

/** Whether a filter compares values by the text that they have in an image. */
export function comparesTexts(plan: Plan): boolean {
  const ofFilter = (filter: Filter): boolean => {
    switch (filter.kind) {
      case 'and':
      case 'or':
        return filter.filters.some(ofFilter)
      case 'not':
      case 'related':
        return ofFilter(filter.filter)
      default:
        return filter.column.category === 'other'
    }
  }
  return nodesOf(plan).some(({ filter }) => ofFilter(filter))
}
