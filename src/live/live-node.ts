import {
  columnsOf,
  type Filter,
  type Link,
  type Predicate,
  relatedIn,
  relax,
  toPredicate,
} from '../filters/index.js'
import type { RowImage } from '../filters/row-image.js'
import type { PlanNode } from '../plan/plan.js'
import { localColumns, ownColumns } from '../plan/used-columns.js'
import { isExact } from './link-key.js'
import { comparing, orderOf } from './row-order.js'

/** A node of a plan, with what decides whether a change of a row can show in its result. */
export interface LiveNode {
  readonly node: PlanNode
  readonly relid: string
  /** Whether a row may belong to it, as far as the row itself shows. */
  readonly matches: Predicate
  /** The filter that `matches` decides. */
  readonly filter: Filter
  /** By which rows of the node above it is held: undefined: it is the root. */
  readonly link: Link | undefined
  /** Whether values of the link can be compared in the server; if not, every change of the table concerns the node. */
  readonly isExact: boolean
  /** The columns whose values decide the result, of a row that belongs to it before and after a change. */
  readonly used: readonly string[]
  /** The columns that the result shows. */
  readonly shown: readonly string[]
  /** Compares rows by the node's order. Undefined: it has no limited list of rows. */
  readonly compare: ((a: RowImage, b: RowImage) => number) | undefined
}

/** A condition on linked rows: a change of such a row can decide which rows match it, and the server does not know which. */
export interface LiveCondition {
  readonly relid: string
  readonly matches: Predicate
  readonly filter: Filter
  readonly link: Link
  /** Columns that decide beyond `matches`, because conditions on further rows are left out there. */
  readonly used: readonly string[]
}

/**
 * @param node as it is read
 * @param shown the columns that the result shows
 * @param key the columns of the table's primary key that the viewer may read
 */
export function createLiveNode(node: PlanNode, shown: readonly string[], key: readonly string[]): LiveNode {
  const filter = relax(node.filter)
  const order = node.kind === 'rows' ? orderOf(node, key) : []
  return {
    node,
    relid: node.table.relid,
    filter,
    matches: toPredicate(filter),
    link: node.link,
    isExact: node.link === undefined || isExact(node.link),
    used: [
      ...new Set([
        ...ownColumns(node),
        ...order.map(({ column }) => column.name),
        ...(node.kind === 'groups' ? [] : [...node.children.values()].flatMap(localColumns)),
        // The groups of an aggregate are held with it.
        ...(node.kind === 'aggregate' ? [...node.children.values()].flatMap(ownColumns) : []),
        ...undecided(node.filter),
      ]),
    ],
    shown,
    compare: node.kind === 'rows' && order.length > 0 ? comparing(order) : undefined,
  }
}

/** The conditions on linked rows in a filter, also those inside of others. */
export function conditionsOf(filter: Filter): LiveCondition[] {
  return relatedIn(filter).flatMap(({ link, filter: inner }) => {
    const relaxed = relax(inner)
    return [
      { relid: link.relid, link, filter: relaxed, matches: toPredicate(relaxed), used: undecided(inner) },
      ...conditionsOf(inner),
    ]
  })
}

/** The columns that decide whether a row matches where the relaxed filter does not tell. */
function undecided(filter: Filter): readonly string[] {
  return relatedIn(filter).length > 0 ? columnsOf(filter) : []
}
