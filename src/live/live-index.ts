import { createFilterIndex, type FilterIndex, type Link } from '../filters/index.js'
import type { LiveNode } from './live-node.js'
import { keysOf, type LiveChange, type LiveQuery } from './live-query.js'
import { isUnclear } from './touches.js'

/** Most keys of one query in the index. A query with more gets every change of the linked tables, and looks at its keys itself. */
const MAX_KEYS = 10_000

/** Which live queries a change of a table may concern, without a look at each of them. */
export class LiveIndex {
  readonly #tables = new Map<string, TableIndex>()
  readonly #linked = new Map<LiveQuery, () => void>()
  readonly #fixed = new Map<LiveQuery, () => void>()
  /** Queries that get every change of their tables, since their next result may rest on keys that are not known yet. */
  readonly #reading = new Set<LiveQuery>()
  /** The same for queries whose result rests on keys that cannot be read. */
  readonly #open = new Set<LiveQuery>()

  /** Adds a query by what its plan says; `link` adds the rest once it has a result. */
  add(query: LiveQuery): void {
    const removals: (() => void)[] = []
    const { live } = query
    for (const relid of query.relids) {
      const table = this.#table(relid)
      table.all.add(query)
      removals.push(() => {
        table.all.delete(query)
        if (table.all.size === 0) this.#tables.delete(relid)
      })
    }
    for (const relid of query.policyRelids) removals.push(addTo(this.#table(relid).inexact, query))
    for (const node of live.nodes) {
      if (!node.link) removals.push(this.#table(node.relid).rows.add(node.filter, query))
      else if (!node.isExact) removals.push(addTo(this.#table(node.relid).inexact, query))
    }
    for (const { relid, filter } of live.conditions) removals.push(this.#table(relid).rows.add(filter, query))
    this.#fixed.set(query, () => {
      for (const remove of removals) remove()
    })
  }

  /** A read of the query has begun. */
  reads(query: LiveQuery): void {
    this.#reading.add(query)
  }

  /** The read has ended: replaces the keys of the last result by those of the present one. */
  link(query: LiveQuery): void {
    this.#reading.delete(query)
    if (query.dependencies?.isOpen) this.#open.add(query)
    else this.#open.delete(query)
    this.#linked.get(query)?.()
    const { held = [], size = 0 } = query.dependencies ?? {}
    const removals: (() => void)[] = []
    for (const [node, keys] of held) {
      if (!node.link || !node.isExact) continue
      removals.push(
        size > MAX_KEYS
          ? addTo(this.#table(node.relid).wide, query)
          : this.#linksOf(node, node.link).add(keys.keys(), query),
      )
    }
    this.#linked.set(query, () => {
      for (const remove of removals) remove()
    })
  }

  remove(query: LiveQuery): void {
    this.#reading.delete(query)
    this.#open.delete(query)
    this.#linked.get(query)?.()
    this.#linked.delete(query)
    this.#fixed.get(query)?.()
    this.#fixed.delete(query)
  }

  /** Calls `visit` for each query of a table. */
  each(relid: string, visit: (query: LiveQuery) => void): void {
    for (const query of [...(this.#tables.get(relid)?.all ?? [])]) visit(query)
  }

  /** Calls `visit` once for each query that the change may concern. */
  visit(change: LiveChange, visit: (query: LiveQuery) => void): void {
    const table = this.#tables.get(change.relid)
    if (!table) return
    const { images } = change
    if (!images || isUnclear(images)) {
      for (const query of [...table.all]) visit(query)
      return
    }
    const found = new Set<LiveQuery>([...table.inexact, ...table.wide])
    table.rows.visit(images.row, images.old, query => found.add(query))
    for (const links of table.links.values())
      for (const key of keysOf(links.link, images)) for (const query of links.queries(key)) found.add(query)
    for (const queries of [this.#reading, this.#open])
      for (const query of queries) if (table.all.has(query)) found.add(query)
    for (const query of found) visit(query)
  }

  #table(relid: string): TableIndex {
    let table = this.#tables.get(relid)
    if (!table) {
      table = {
        all: new Set(),
        rows: createFilterIndex(),
        inexact: new Set(),
        wide: new Set(),
        links: new Map(),
      }
      this.#tables.set(relid, table)
    }
    return table
  }

  #linksOf({ relid }: LiveNode, link: Link): LinkIndex {
    const { links } = this.#table(relid)
    const columns = JSON.stringify(link.pairs.map(({ remote }) => remote.name))
    let index = links.get(columns)
    if (!index) {
      index = new LinkIndex(link)
      links.set(columns, index)
    }
    return index
  }
}

interface TableIndex {
  readonly all: Set<LiveQuery>
  /** By the filters of roots and of conditions on linked rows. */
  readonly rows: FilterIndex<LiveQuery>
  /** Queries with a link whose values cannot be compared in the server, or whose policies read the table. */
  readonly inexact: Set<LiveQuery>
  /** Queries with more than MAX_KEYS keys. */
  readonly wide: Set<LiveQuery>
  /** By the columns by which rows are linked. */
  readonly links: Map<string, LinkIndex>
}

/** Queries by the keys of rows that they hold linked rows of. */
class LinkIndex {
  readonly link: Link
  readonly #byKey = new Map<string, Map<LiveQuery, number>>()

  constructor(link: Link) {
    this.link = link
  }

  queries(key: string): Iterable<LiveQuery> {
    return this.#byKey.get(key)?.keys() ?? []
  }

  /** @returns removes them. Two nodes of a query may hold the same key. */
  add(given: Iterable<string>, query: LiveQuery): () => void {
    const keys = [...given]
    for (const key of keys) {
      let queries = this.#byKey.get(key)
      if (!queries) {
        queries = new Map()
        this.#byKey.set(key, queries)
      }
      queries.set(query, (queries.get(query) ?? 0) + 1)
    }
    return () => {
      for (const key of keys) {
        const queries = this.#byKey.get(key)
        const count = queries?.get(query) ?? 0
        if (count > 1) queries?.set(query, count - 1)
        else if (queries?.delete(query) && queries.size === 0) this.#byKey.delete(key)
      }
    }
  }
}

function addTo(set: Set<LiveQuery>, query: LiveQuery): () => void {
  set.add(query)
  return () => void set.delete(query)
}
