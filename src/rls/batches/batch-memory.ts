// What batches remember of earlier ones, so that most of them need one round trip. Nothing of it decides: each batch reads the
// current rights and compares them.

import { createPrepared, type Prepared } from '../../postgres/statements/prepared.js'
import type { Readers } from '../policy-prepare.js'
import { createPolicyPlanner, type PlanPolicies } from '../policy-sql.js'
import type { UsableSettings } from '../role-rights.js'
import { createSelfReading, type SelfReading } from '../self-reading.js'

export interface BatchMemory {
  /** The rights of each role on a table as last read, by role. */
  rightsOf(relid: string): Map<string, string>
  readonly planPolicies: PlanPolicies
  readonly prepared: Prepared
  readonly readers: Readers
  readonly usable: UsableSettings
  readonly selfReading: SelfReading
  /** Call it before each batch: forgets readers and usable settings if there are too many. */
  trim(): void
}

/** Most policy queries and role settings that are cached as working. */
const MAX_REMEMBERED = 2000

/** @param keepsPrepared whether statements may stay prepared */
export function createBatchMemory(keepsPrepared: boolean): BatchMemory {
  const rights = new Map<string, Map<string, string>>()
  const readers: Readers = new Map()
  const usable: UsableSettings = new Map()
  return {
    rightsOf(relid) {
      const byRole = rights.get(relid) ?? new Map<string, string>()
      rights.set(relid, byRole)
      return byRole
    },
    planPolicies: createPolicyPlanner(),
    prepared: createPrepared(keepsPrepared),
    readers,
    usable,
    selfReading: createSelfReading(),
    trim() {
      if (readers.size > MAX_REMEMBERED) readers.clear()
      if (usable.size > MAX_REMEMBERED) usable.clear()
    },
  }
}
