import type { Viewer } from '../auth/viewer.js'
import type { WatchedTable } from '../catalog/watched-table.js'
import type { ListenqlError } from '../lib/errors.js'

/** What a query or a stream needs the right to read. */
export interface ReadRequirement {
  readonly viewer: Viewer
  readonly table: WatchedTable
  /** Names in the table. */
  readonly columns: readonly string[]
}

/** What a stream needs the right to read. `seesAll`: it sees all rows; otherwise only those that the policies allow. */
export interface HeldRequirement extends ReadRequirement {
  readonly seesAll: boolean
}

/** A role and a table. */
export interface Pair {
  readonly relid: string
  readonly role: string
}

/** A stream that depends on rights. */
export interface Holder {
  readonly requirement: HeldRequirement
  readonly role: string
  /** Identifies the role and the table. */
  readonly key: string
  readonly lost: (error: ListenqlError) => void
}

/** The streams that depend on rights, by role and table. */
export interface Holders {
  add(holder: Holder): void
  /** @returns false if the holder was not registered */
  remove(holder: Holder): boolean
  has(key: string): boolean
  /** Checks all holders of a key. */
  check(key: string): void
  /** The roles that have holders on these tables. */
  pairs(relids: ReadonlySet<string>): Pair[]
}

/** @param check may remove the holder */
export function createHolders(check: (holder: Holder) => void): Holders {
  const byKey = new Map<string, Set<Holder>>()
  /** The keys of each table. */
  const byTable = new Map<string, Map<string, Pair>>()
  return {
    add(holder) {
      const { key, role, requirement } = holder
      const { relid } = requirement.table
      const some = byKey.get(key) ?? new Set()
      byKey.set(key, some.add(holder))
      const pairs = byTable.get(relid) ?? new Map<string, Pair>()
      byTable.set(relid, pairs.set(key, { relid, role }))
    },
    remove(holder) {
      const { key, requirement } = holder
      const some = byKey.get(key)
      if (!some?.delete(holder)) return false
      if (some.size > 0) return true
      byKey.delete(key)
      const pairs = byTable.get(requirement.table.relid)
      pairs?.delete(key)
      if (pairs?.size === 0) byTable.delete(requirement.table.relid)
      return true
    },
    has: key => byKey.has(key),
    check(key) {
      for (const holder of [...(byKey.get(key) ?? [])]) check(holder)
    },
    pairs(relids) {
      const found: Pair[] = []
      for (const relid of relids) found.push(...(byTable.get(relid)?.values() ?? []))
      return found
    },
  }
}
