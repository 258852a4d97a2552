import { createHash } from 'node:crypto'
import { tableNumber } from '../catalog/table-number.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { PlanNode } from '../plan/plan.js'
import type { LiveCondition, LiveNode } from './live-node.js'

/** A node below another one, and all that is below it. */
export interface LivePart {
  readonly node: PlanNode
  /** It and all nodes below it. */
  readonly nodes: readonly LiveNode[]
  readonly conditions: readonly LiveCondition[]
}

/**
 * Parts of plans that are the same in many queries: those of one document differ in the filters of their roots. Each is kept once, as
 * long as a query has it.
 */
export class SharedNodes {
  readonly #parts = new Map<string, WeakRef<LivePart>>()
  readonly #gone = new FinalizationRegistry<string>(shape => {
    if (!this.#parts.get(shape)?.deref()) this.#parts.delete(shape)
  })

  /** @param path by which the root leads to the node: nodes of one plan are never shared with each other */
  share(
    path: string,
    node: PlanNode,
    keyOf: (relid: string) => readonly string[],
    create: () => LivePart,
  ): LivePart {
    // A digest, since a part with a filter of its own is shared with no other query, and its shape may be long.
    const shape = createHash('sha256')
      .update(`${path} ${this.#shapeOf(node, keyOf)}`)
      .digest('base64')
    const known = this.#parts.get(shape)?.deref()
    if (known) return known
    const part = create()
    this.#parts.set(shape, new WeakRef(part))
    this.#gone.register(part, shape)
    return part
  }

  #shapeOf(node: PlanNode, keyOf: (relid: string) => readonly string[]): string {
    return JSON.stringify(node, (name, value: unknown) => {
      if (value instanceof Map) return [...value]
      if (typeof value === 'bigint') return `${value}n`
      if (name !== 'table' || typeof value !== 'object') return value
      const table = value as WatchedTable
      return [tableNumber(table), keyOf(table.relid)]
    })
  }
}
