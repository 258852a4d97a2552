import pg from 'pg'
import { type ImageKind, imageColumns } from '../catalog/image-sql.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import { type DatabaseText, textsOf } from '../filters/index.js'
import { PIN_COLUMNS } from '../postgres/pinned-settings.js'
import { RESULT_KINDS } from './aggregate-sql.js'
import { jsonOfRoot, jsonParts, shownColumns } from './json-sql.js'
import { nodesOf, type Plan, type PlanNode } from './plan.js'
import { type PlanNames, planNames, qualified } from './plan-names.js'
import { type RowsSqlOptions, rowsSql } from './rows-sql.js'
import { comparesTexts, usedColumns } from './used-columns.js'

/** A statement that returns one column, named `image`. */
export interface PlanSql {
  readonly text: string
  readonly values: unknown[]
}

export interface PlanSqlOptions {
  /** How the values of each type become part of an image. */
  readonly kinds: ReadonlyMap<number, ImageKind>
  /** How the database stores texts. Default: as UTF8. */
  readonly text?: DatabaseText | undefined
  /**
   * Whether policies are evaluated: then the statement begins under the settings of the viewer's role, and PIN_SETTINGS are in effect
   * after it. Otherwise it runs under PIN_SETTINGS.
   */
  readonly isSecured: boolean
  /** The columns of the primary keys that the viewer may read, by the oids of their tables. Default: all. */
  readonly keys?: ReadonlyMap<string, readonly string[]> | undefined
}

/** The texts in the filters of a plan that the encoding of a database may lack. */
export function textsIn(plan: Plan): string[] {
  return nodesOf(plan).flatMap(({ filter }) => textsOf(filter))
}

/**
 * One statement for a whole plan, with a row for each row of the root: its image as JSON text or, if the root has children, a JSON array
 * of the image and one array for each child, whose elements have the same form. `readPlanRows` reads it.
 *
 * The rows of each node are a common table expression, from the root down: for all rows of the node above, by a lateral join. The JSON is
 * then assembled from the leaves up. Values are compared and sorted as filters compare them: text by code point, citext case-folded, enums
 * in their order, types that are compared as text by that text; finally by the primary key, in the order of its index. Rows of a table
 * without a key that are equal in all columns of `orderBy` have no order, which may differ from one read to the next.
 *
 * Policies are evaluated under the settings of the role, and images are made under PIN_SETTINGS, which a part of the statement sets once
 * all rows have been read. If filters compare values by their text in the image, these rows are all that the viewer sees.
 * @throws ListenqlError ARGUMENT_INVALID for an unknown column
 */
export function planSql(plan: Plan, { kinds, text, isSecured, keys }: PlanSqlOptions): PlanSql {
  const { root } = plan
  const names = planNames(plan)
  const isLate = isSecured && comparesTexts(plan)
  const values: unknown[] = []
  const keyOf = (table: WatchedTable) => keys?.get(table.relid) ?? table.key
  const pinned = (from: string) => `select ${from}.* from _lq_pins cross join ${from}`
  const tableSql = (table: WatchedTable) => (isLate ? `(${pinned(names.seen(table))})` : qualified(table))
  const rows: RowsSqlOptions = { plan, names, values, text, tableSql, keyOf }
  const allKinds = new Map([...RESULT_KINDS, ...kinds])

  if (root.kind === 'rows' && root.children.size === 0 && !isSecured) {
    const { row } = names
    const columns = imageColumns(shownColumns(root), root.table.key, allKinds, row)
    return {
      text: `select pg_catalog.row_to_json(${row})::pg_catalog.text as image from (select ${columns} from (${rowsSql(root, rows)}) ${row}) ${row}`,
      values,
    }
  }
  const chosen = chosenParts(plan, rows)
  const all = nodesOf(plan).map(names.of)
  const parts = isLate
    ? [...seenParts(plan, names, keyOf), ...pinParts([...plan.tables.values()].map(names.seen)), ...chosen]
    : isSecured
      ? [...chosen, ...pinParts(all), ...all.map(name => `${name}p as materialized (${pinned(name)})`)]
      : chosen
  const rowsOf = (node: PlanNode) => `${names.of(node)}${isSecured && !isLate ? 'p' : ''}`
  const json = { names, kinds: allKinds, rowsOf }
  return {
    text: `with ${[...parts, ...jsonParts(plan, json)].join(',\n')}\n${jsonOfRoot(plan, json)}`,
    values,
  }
}

/** The rows of each node, numbered, with the number of the row above. */
function chosenParts({ root, maxRows }: Plan, options: RowsSqlOptions): string[] {
  const { row, up, number, above, of } = options.names
  const numbered = `pg_catalog.row_number() over () as ${number}`
  // One more than may be shown: the reader of the result notices it.
  const limit = maxRows === undefined ? '' : ` limit ${maxRows + 1}`
  const parts: string[] = []
  function visit(node: PlanNode, parent: PlanNode | undefined): void {
    const rows = rowsSql(node, options)
    const isOne = node.kind === 'aggregate' // one for each row above, whose number it has
    parts.push(
      parent
        ? `${of(node)} as materialized (select ${up}.${number} as ${above}, ${row}.*, ${isOne ? `${up}.${number} as ${number}` : numbered}
            from ${of(parent)} ${up} cross join lateral (${rows}) ${row}${limit})`
        : `${of(node)} as materialized (select 1 as ${above}, ${row}.*, ${isOne ? `1 as ${number}` : numbered} from (${rows}) ${row})`,
    )
    if (node.kind === 'rows' || node.kind === 'roots')
      for (const child of node.children.values()) visit(child, node)
    // The groups of an aggregate belong to the row that the aggregate belongs to.
    if (node.kind === 'aggregate') for (const child of node.children.values()) visit(child, parent)
  }
  visit(root, undefined)
  return parts
}

/** All rows of each table that the viewer sees. */
function seenParts(
  plan: Plan,
  names: PlanNames,
  keyOf: (table: WatchedTable) => readonly string[],
): string[] {
  const used = usedColumns(plan)
  return [...plan.tables.values()].map(table => {
    const columns = [...new Set([...(used.get(table.relid) ?? []), ...keyOf(table)])]
    return `${names.seen(table)} as materialized (select ${columns.map(name => pg.escapeIdentifier(name)).join(', ')} from ${qualified(table)})`
  })
}

/** Sets the settings of images once these expressions have been evaluated. */
function pinParts(after: readonly string[]): string[] {
  const counts = after.map(name => `(select pg_catalog.count(*) from ${name})`)
  return [
    `_lq_all as materialized (select ${counts.join(', ')})`,
    `_lq_pins as materialized (select ${PIN_COLUMNS} from _lq_all)`,
  ]
}
