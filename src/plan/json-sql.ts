import { type ImageKind, imageColumns } from '../catalog/image-sql.js'
import type { Column } from '../postgres/types.js'
import { nodesOf, type Plan, type PlanNode } from './plan.js'
import type { PlanNames } from './plan-names.js'

export interface JsonSqlOptions {
  readonly names: PlanNames
  /** How the values of each type become part of an image. */
  readonly kinds: ReadonlyMap<number, ImageKind>
  /** The common table expression with the rows of a node, under the settings of images. */
  readonly rowsOf: (node: PlanNode) => string
}

/** Common table expressions with the JSON of all nodes below the root, from the leaves up: an array for each row above. */
export function jsonParts(plan: Plan, options: JsonSqlOptions): string[] {
  const { row, above, number, json, of } = options.names
  const below = nodesOf(plan).slice(1).reverse()
  return below.map(
    node => `${of(node)}j as materialized (
      select ${row}.${above}, pg_catalog.json_agg(${rowJson(node, options)} order by ${row}.${number}) as ${json}
      from ${joined(node, options)} group by ${row}.${above})`,
  )
}

/** The rows of the root as texts of JSON, in their order. */
export function jsonOfRoot({ root }: Plan, options: JsonSqlOptions): string {
  const { row, number } = options.names
  return `select (${rowJson(root, options)})::pg_catalog.text as image from ${joined(root, options)} order by ${row}.${number}`
}

/** The columns of a node's images. */
export function shownColumns(node: PlanNode): readonly Column[] {
  if (node.kind === 'roots') return []
  if (node.kind === 'rows') return node.table.columns.filter(({ name }) => node.columns.includes(name))
  const measured = node.measures.map(({ result }) => result)
  if (node.kind === 'aggregate') return measured
  return [...node.table.columns.filter(({ name }) => node.by.includes(name)), ...measured]
}

/** The rows of a node, each with its image and with the JSON of its children. */
function joined(node: PlanNode, { names, kinds, rowsOf }: JsonSqlOptions): string {
  const { row, image, above, number } = names
  const children = childrenOf(node).map(child => {
    const below = `${names.of(child)}j`
    return `left join ${below} on ${below}.${above} = ${row}.${number}`
  })
  const columns = imageColumns(shownColumns(node), node.kind === 'rows' ? node.table.key : [], kinds, row)
  return [`${rowsOf(node)} ${row} cross join lateral (select ${columns}) ${image}`, ...children].join(' ')
}

function rowJson(node: PlanNode, { names }: JsonSqlOptions): string {
  const image = `pg_catalog.row_to_json(${names.image})`
  const children = childrenOf(node).map(child => `${names.of(child)}j.${names.json}`)
  return children.length === 0 ? image : `pg_catalog.json_build_array(${[image, ...children].join(', ')})`
}

function childrenOf(node: PlanNode): PlanNode[] {
  return node.kind === 'groups' ? [] : [...node.children.values()]
}
