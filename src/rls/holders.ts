// The streams that depend on rights, found by role and table when those rights have been read again.
import type { ListenqlError } from '../lib/errors.js'
import { keyOf, type RoleAndTable } from './known-rights.js'
import type { HeldRequirement } from './read-requirement.js'

/** A stream that depends on the rights of a role on a table. */
export interface Holder extends RoleAndTable {
  readonly requirement: HeldRequirement
  readonly lost: (error: ListenqlError) => void
}

export interface Holders {
  add(holder: Holder): void
  /** @returns false if the holder was not registered */
  remove(holder: Holder): boolean
  has(key: string): boolean
  /** The holders of a role and table, as `keyOf` names them. They may be removed while the result is iterated. */
  of(key: string): readonly Holder[]
  /** The roles that have holders on these tables. */
  pairs(relids: ReadonlySet<string>): RoleAndTable[]
}

export function createHolders(): Holders {
  const byKey = new Map<string, Set<Holder>>()
  /** The roles and tables that have holders, by table, then by key. */
  const byTable = new Map<string, Map<string, RoleAndTable>>()
  return {
    add(holder) {
      const { relid, role } = holder
      const key = keyOf(holder)
      const holders = byKey.get(key) ?? new Set()
      byKey.set(key, holders.add(holder))
      const pairs = byTable.get(relid) ?? new Map<string, RoleAndTable>()
      byTable.set(relid, pairs.set(key, { relid, role }))
    },
    remove(holder) {
      const { relid } = holder
      const key = keyOf(holder)
      const holders = byKey.get(key)
      if (!holders?.delete(holder)) return false
      if (holders.size > 0) return true
      byKey.delete(key)
      const pairs = byTable.get(relid)
      pairs?.delete(key)
      if (pairs?.size === 0) byTable.delete(relid)
      return true
    },
    has: key => byKey.has(key),
    of: key => [...(byKey.get(key) ?? [])],
    pairs(relids) {
      const found: RoleAndTable[] = []
      for (const relid of relids) found.push(...(byTable.get(relid)?.values() ?? []))
      return found
    },
  }
}
