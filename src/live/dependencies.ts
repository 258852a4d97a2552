import { createHash } from 'node:crypto'
import type { Link, RowImage } from '../filters/index.js'
import type { PlanNode, RowsNode } from '../plan/plan.js'
import type { PlanRow } from '../plan/plan-result.js'
import type { Column } from '../postgres/types.js'
import { localKey } from './link-key.js'
import type { LiveNode } from './live-node.js'
import type { LivePlan } from './live-plan.js'

/** What a result rests on, by node: the keys of the rows above for which the node is held, each with the last row of a full list. */
export interface Dependencies {
  /** By node, then by key. */
  readonly held: ReadonlyMap<LiveNode, ReadonlyMap<string, RowImage | undefined>>
  /** The number of keys. */
  readonly size: number
  /** Whether a row leads to others by a value that cannot be read: then the result may rest on any row of the plan's tables. */
  readonly isOpen: boolean
  /** Equal for results that look the same: a digest of all values that the result shows, of how they are shown, and of its shape. */
  readonly digest: string
}

/** The key of a root, and of an inexact link: any row of the table may belong to it. */
export const UNLINKED = ''

/** Walks a result once. */
export function dependenciesOf(live: LivePlan, rows: readonly PlanRow[]): Dependencies {
  const held = new Map<LiveNode, Map<string, RowImage | undefined>>()
  const texts = live.nodes.flatMap(({ node }) => displayOf(live, node))
  let size = 0
  let isOpen = false

  function hold(node: PlanNode, above: PlanRow | undefined, below: readonly PlanRow[]): void {
    const one = live.of(node)
    if (node.link && isUnreadable(node.link, above as PlanRow)) isOpen = true
    const key = keyOf(one, above)
    if (key === undefined) return // NULL leads to no row
    let keys = held.get(one)
    if (!keys) {
      keys = new Map()
      held.set(one, keys)
    }
    if (!keys.has(key)) size++
    keys.set(key, one.isExact ? lastOf(node, below) : undefined)
  }

  function walk(node: PlanNode, all: readonly PlanRow[]): void {
    texts.push('[')
    for (const row of all) {
      texts.push('{')
      for (const name of namesOf(live, node)) texts.push(textOf(row, name), ',')
      if (node.kind !== 'groups') {
        for (const [name, child] of node.children) {
          const below = row.linked?.get(name) ?? []
          if (child.kind !== 'groups') hold(child, row, below)
          walk(child, below)
        }
      }
    }
    texts.push(']') // or a row could move to another list, and the texts would be the same
  }

  const { root } = live.plan
  if (root.kind !== 'roots') hold(root, undefined, rows)
  walk(root, rows)
  return { held, size, isOpen, digest: createHash('sha256').update(texts.join('')).digest('base64') }
}

function keyOf({ link, isExact }: LiveNode, above: PlanRow | undefined): string | undefined {
  if (!link || !isExact) return UNLINKED
  return localKey(link, above as PlanRow)
}

function isUnreadable({ pairs }: Link, above: PlanRow): boolean {
  return above.hasUnreadable && pairs.some(({ local }) => above.unreadable(local.name) !== undefined)
}

function textOf(row: PlanRow, name: string): string {
  const reason = row.hasUnreadable ? row.unreadable(name) : undefined
  return reason === undefined ? row.json(name) : `unreadable ${reason}`
}

function lastOf(node: PlanNode, rows: readonly PlanRow[]): RowImage | undefined {
  // A referenced row is the only one.
  if (node.kind !== 'rows' || node.link?.isForward || !isFull(node, rows)) return undefined
  const last = rows.at(-1)
  return last?.hasUnreadable ? undefined : last
}

/** A list without rows is full only if none was asked for: then nothing shows. */
function isFull({ limit }: RowsNode, { length }: readonly PlanRow[]): boolean {
  return length > 0 && length >= limit
}

/** How the values of each column are shown: the same image is 1 of an int4, and "1" of an int8. */
function displayOf(live: LivePlan, node: PlanNode): string[] {
  if (node.kind === 'roots') return []
  const measures = node.kind === 'rows' ? [] : node.measures.map(({ result }) => result)
  const columns = [...node.table.columns, ...measures]
  return namesOf(live, node).map(name => {
    const column = columns.find(one => one.name === name)
    return column ? JSON.stringify([column.category, column.isArray, enumOf(column)]) : ''
  })
}

function enumOf({ category, enumSchema, baseType }: Column): readonly unknown[] {
  return category === 'enum' ? [enumSchema, baseType] : []
}

/** What is compared: rows by the shown columns, in their order; measures by their values. */
function namesOf(live: LivePlan, node: PlanNode): readonly string[] {
  if (node.kind === 'roots') return []
  if (node.kind === 'rows') return live.of(node).shown
  const measured = node.measures.map(({ result }) => result.name)
  return node.kind === 'groups' ? [...node.by, ...measured] : measured
}
