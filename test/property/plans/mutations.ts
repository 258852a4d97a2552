import { vi } from 'vitest'
import type { Link, RowImage } from '../../../src/filters/index.js'
import { columnsOf } from '../../../src/filters/index.js'
import type * as dependencies from '../../../src/live/dependencies.js'
import type * as liveIndex from '../../../src/live/live-index.js'
import type * as livePlan from '../../../src/live/live-plan.js'
import type * as liveQuery from '../../../src/live/live-query.js'
import type * as touching from '../../../src/live/touches.js'
import type { PlanNode } from '../../../src/plan/plan.js'
import { localColumns, ownColumns } from '../../../src/plan/used-columns.js'
import type { Rules } from './live-checker.js'

/** Modules of the rules, each with what replaces some of its exports. */
interface Mutation {
  readonly module: 'dependencies' | 'link-key' | 'live-index' | 'live-plan' | 'live-query' | 'touches'
  replace(original: never): object
}

/** Each takes one rule out. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'the former foreign key of a row is ignored': touchesWith((touches, node, held, images) =>
    touches(
      node,
      held,
      held.key !== undefined && leaves(node.link, images) ? { ...images, old: null } : images,
    ),
  ),
  'the former row is ignored by the filter of a root': touchesWith((touches, node, held, images) =>
    touches(node, held, node.link || !images.row ? images : { ...images, old: null }),
  ),
  'deleted rows are ignored': touchesWith(
    (touches, node, held, images) => images.row !== null && touches(node, held, images),
  ),
  'rows that a row references are ignored': touchesWith(
    (touches, node, held, images) => !node.link?.isForward && touches(node, held, images),
  ),
  'rows that reference a row are ignored': touchesWith(
    (touches, node, held, images) => (!node.link || node.link.isForward) && touches(node, held, images),
  ),
  'the columns by which a row leads to others are not used': withoutUsed(node =>
    node.kind === 'groups' ? [] : [...node.children.values()].flatMap(localColumns),
  ),
  'the columns of conditions on linked rows are not used': withoutUsed(({ filter }) => columnsOf(filter)),
  'the columns of the order are not used': withoutUsed(node =>
    node.kind === 'rows' ? node.orderBy.map(({ column }) => column) : [],
  ),
  'the columns of groups are not used': withoutUsed(node =>
    node.kind === 'aggregate' ? [...node.children.values()].flatMap(ownColumns) : [],
  ),
  'measured columns are not used': withoutUsed(node =>
    node.kind === 'aggregate' ? node.measures.flatMap(({ column }) => column?.name ?? []) : [],
  ),
  'rows of conditions are ignored': {
    module: 'touches',
    replace: (original: typeof touching) => ({ ...original, sways: () => false }),
  },
  'rows of conditions are ignored once they match': {
    module: 'touches',
    replace: (original: typeof touching): Partial<typeof touching> => ({
      ...original,
      sways: (condition, { row, old }) =>
        original.sways({ ...condition, used: [], link: { ...condition.link, pairs: [] } }, { row, old }),
    }),
  },
  'every list counts as full': {
    module: 'dependencies',
    replace: (original: typeof dependencies): Partial<typeof dependencies> => ({
      ...original,
      dependenciesOf(live, rows) {
        const lists = live.nodes.map(({ node }) => node).filter(node => node.kind === 'rows')
        const limits = lists.map(({ limit }) => limit)
        for (const list of lists) Object.assign(list, { limit: 1 })
        try {
          return original.dependenciesOf(live, rows)
        } finally {
          for (const [i, list] of lists.entries()) Object.assign(list, { limit: limits[i] })
        }
      },
    }),
  },
  'a row at the end of a full list counts as after it': touchesWith((touches, node, held, images) => {
    const { compare } = node
    return touches(compare ? { ...node, compare: (a, b) => compare(a, b) || 1 } : node, held, images)
  }),
  'keys are compared by text': {
    module: 'link-key',
    replace: (original: object) => ({
      ...original,
      remoteKey: (link: Link, row: RowImage) =>
        textKey(
          link.pairs.map(({ remote }) => remote.name),
          row,
        ),
      localKey: (link: Link, row: RowImage) =>
        textKey(
          link.pairs.map(({ local }) => local.name),
          row,
        ),
    }),
  },
  'changes that arrive during a read are not kept': {
    module: 'live-query',
    replace: ({ LiveQuery, ...rest }: typeof liveQuery) => ({
      ...rest,
      LiveQuery: class extends LiveQuery {
        override take(change: liveQuery.LiveChange): liveQuery.Effect {
          return this.isReading ? 'none' : super.take(change)
        }
      },
    }),
  },
  'the index keeps the keys of the first result': {
    module: 'live-index',
    replace: ({ LiveIndex, ...rest }: typeof liveIndex) => ({
      ...rest,
      LiveIndex: class extends LiveIndex {
        readonly #first = new WeakMap<liveQuery.LiveQuery, liveQuery.LiveQuery['dependencies']>()
        override link(query: liveQuery.LiveQuery): void {
          const value = this.#first.get(query) ?? query.dependencies
          this.#first.set(query, value)
          Object.defineProperty(query, 'dependencies', { value, configurable: true })
          super.link(query)
          Reflect.deleteProperty(query, 'dependencies')
        }
      },
    }),
  },
  'the index forgets queries while they are read': {
    module: 'live-index',
    replace: ({ LiveIndex, ...rest }: typeof liveIndex) => ({
      ...rest,
      LiveIndex: class extends LiveIndex {
        override reads(): void {}
      },
    }),
  },
  'TRUNCATE is ignored': {
    module: 'live-query',
    replace: ({ LiveQuery, ...rest }: typeof liveQuery) => ({
      ...rest,
      LiveQuery: class extends LiveQuery {
        override take(change: liveQuery.LiveChange): liveQuery.Effect {
          return change.images ? super.take(change) : 'none'
        }
      },
    }),
  },
}

/** The rules in src/live, with a mutation. */
export async function importRules(mutation?: Mutation): Promise<Rules> {
  vi.resetModules()
  const path = mutation && `../../../src/live/${mutation.module}.js`
  if (path) vi.doMock(path, async importOriginal => mutation.replace((await importOriginal()) as never))
  try {
    const { LiveIndex } = await import('../../../src/live/live-index.js')
    const { LiveQuery } = await import('../../../src/live/live-query.js')
    const { createLivePlan } = await import('../../../src/live/live-plan.js')
    return { LiveIndex, LiveQuery, createLivePlan }
  } finally {
    if (path) vi.doUnmock(path)
  }
}

type Touches = typeof touching.touches

function touchesWith(weaker: (touches: Touches, ...args: Parameters<Touches>) => boolean): Mutation {
  return {
    module: 'touches',
    replace: (original: typeof touching): Partial<typeof touching> => ({
      ...original,
      touches: (...args) => weaker(original.touches, ...args),
    }),
  }
}

/** Leaves out columns that the result does not show. */
function withoutUsed(left: (node: PlanNode) => readonly string[]): Mutation {
  return {
    module: 'live-plan',
    replace: (original: typeof livePlan): Partial<typeof livePlan> => ({
      ...original,
      createLivePlan(...args) {
        const live = original.createLivePlan(...args)
        for (const one of live.nodes) {
          const without = left(one.node).filter(name => !one.shown.includes(name))
          Object.assign(one, { used: one.used.filter(name => !without.includes(name)) })
        }
        return live
      },
    }),
  }
}

function leaves(link: Link | undefined, { row, old }: touching.RowImages): boolean {
  const key = (image: RowImage | null) =>
    image && link ? link.pairs.map(({ remote }) => String(image.key(remote.name))).join() : undefined
  return row !== null && old !== null && key(row) !== key(old)
}

function textKey(columns: readonly string[], row: RowImage): string | undefined {
  const texts = columns.map(name => row.json(name))
  return texts.includes('null') ? undefined : texts.join()
}
