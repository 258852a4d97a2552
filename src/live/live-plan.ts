import type { Plan, PlanNode, RootsNode } from '../plan/plan.js'
import { localColumns } from '../plan/used-columns.js'
import { conditionsOf, createLiveNode, type LiveCondition, type LiveNode } from './live-node.js'
import { orderOf } from './row-order.js'
import type { LivePart, SharedNodes } from './shared-nodes.js'

/** A plan whose result is kept up to date. */
export interface LivePlan {
  /** The plan that is read: with the columns that links and windows need. */
  readonly plan: Plan
  readonly nodes: readonly LiveNode[]
  readonly conditions: readonly LiveCondition[]
  /** What it shares with other plans. They keep it only as long as one of them holds it here. */
  readonly shared: readonly LivePart[]
  /** The live node of a node of `plan`. */
  of(node: PlanNode): LiveNode
}

/** The columns of a table's primary key that the viewer may read, by the oid of the table. */
export type ReadableKeys = (relid: string) => readonly string[]

/** @param sharedNodes keeps what other plans have, too. Default: nothing is shared */
export function createLivePlan(asked: Plan, keyOf: ReadableKeys, sharedNodes?: SharedNodes): LivePlan {
  const shared: LivePart[] = []
  const below =
    (path: string): PartBelow =>
    (node, name) => {
      const create = () => partOf(node as TableNode, keyOf)
      if (!sharedNodes || !node.link) return create()
      const part = sharedNodes.share(`${path}.${name}`, node, keyOf, create)
      shared.push(part)
      return part
    }
  const { root } = asked
  const { node, nodes, conditions } =
    root.kind === 'roots' ? rootsOf(root, keyOf, below) : partOf(root, keyOf, below(''))
  return {
    plan: { ...asked, root: node as Plan['root'] },
    nodes,
    conditions,
    shared,
    of: liveNodeOf,
  }
}

type TableNode = Exclude<PlanNode, RootsNode>
type PartBelow = (node: PlanNode, name: string) => LivePart

const liveNodes = new WeakMap<PlanNode, LiveNode>()

// A closure of `createLivePlan` would keep the plan alive that was asked for.
function liveNodeOf(node: PlanNode): LiveNode {
  return liveNodes.get(node) as LiveNode
}

const NO_CHILDREN: ReadonlyMap<string, PlanNode> = new Map()

function rootsOf(root: RootsNode, keyOf: ReadableKeys, below: (path: string) => PartBelow): LivePart {
  const parts = new Map([...root.children].map(([name, child]) => [name, partOf(child, keyOf, below(name))]))
  return { node: { ...root, children: childrenOf(parts) } as PlanNode, ...contentsOf(parts) }
}

/** @param below makes the parts of the children. Default: in the same way */
function partOf(
  node: TableNode,
  keyOf: ReadableKeys,
  below: PartBelow = one => partOf(one as TableNode, keyOf),
): LivePart {
  const parts = new Map(
    node.kind === 'groups' ? [] : [...node.children].map(([name, child]) => [name, below(child, name)]),
  )
  const key = keyOf(node.table.relid)
  const children = parts.size > 0 ? childrenOf(parts) : NO_CHILDREN
  const widened = { ...node, ...(node.kind !== 'groups' && { children }) } as TableNode
  if (widened.kind === 'rows') {
    const links = [...widened.children.values()].flatMap(localColumns)
    const order = orderOf(widened, key).map(({ column }) => column.name)
    Object.assign(widened, { columns: [...new Set([...widened.columns, ...links, ...order])] })
  }
  const live = createLiveNode(widened, node.kind === 'rows' ? node.columns : [], key)
  liveNodes.set(widened, live)
  const { nodes, conditions } = contentsOf(parts)
  return { node: widened, nodes: [...nodes, live], conditions: [...conditionsOf(node.filter), ...conditions] }
}

function childrenOf(parts: ReadonlyMap<string, LivePart>): ReadonlyMap<string, PlanNode> {
  return new Map([...parts].map(([name, { node }]) => [name, node]))
}

function contentsOf(parts: ReadonlyMap<string, LivePart>): Pick<LivePart, 'nodes' | 'conditions'> {
  const all = [...parts.values()]
  return { nodes: all.flatMap(({ nodes }) => nodes), conditions: all.flatMap(({ conditions }) => conditions) }
}
