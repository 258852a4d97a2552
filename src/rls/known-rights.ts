// Caches what roles may read of tables by the grants in the database. A cached digest is never newer than its rights, so `review`
// misses no change; and of two reads that overlap, the one that began later counts.
import type pg from 'pg'
import { ListenqlError } from '../lib/errors.js'
import { readAccess, readDigests, type TableRights } from './privileges.js'

/** A role and a table. */
export interface RoleAndTable {
  readonly relid: string
  readonly role: string
}

export function keyOf({ relid, role }: RoleAndTable): string {
  return `${relid} ${role}`
}

export interface KnownRightsOptions {
  readonly pool: pg.Pool
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. */
  readonly keepsPrepared: boolean
  /** Called when the rights of a role on a table (`keyOf`) have been read again. Undefined: the table is gone. */
  readonly onRead: (key: string, rights: TableRights | undefined) => void
}

/** What is cached of a role's rights on a table. */
interface Known {
  readonly rights: TableRights
  /** The digest of what the rights depend on; it was read before them, or confirmed since. */
  readonly digest: string
  /**
   * Whether the rights were read once more after the digest was known. A commit is visible in snapshots a moment before other
   * sessions invalidate their catalogue caches: rights that are read in that moment may be older than their digest.
   */
  readonly isSure: boolean
  /** The number of the read it comes from. */
  readonly read: number
  /** When their last check began (`performance.now()`): the rights are at least that new. */
  readonly reviewedAt: number
}

export interface KnownRights {
  /** Undefined: they have not been read yet, or the table is gone. */
  get(of: RoleAndTable): Pick<Known, 'rights' | 'reviewedAt'> | undefined
  /** The roles and tables whose rights are cached. */
  all(): RoleAndTable[]
  /**
   * Reads the rights, together with all that ask for the same rights meanwhile.
   * @returns undefined: the table is gone
   * @throws ListenqlError DATABASE_FAILED
   */
  read(of: RoleAndTable): Promise<TableRights | undefined>
  /** Reads the rights again that may have changed, or were read only once. Rejects with the error of Postgres or the connection. */
  review(pairs: readonly RoleAndTable[]): Promise<void>
  /** If the cache is full, drops the rights that are not needed. @param isNeeded takes a role and table as `keyOf` names them */
  trim(isNeeded: (key: string) => boolean): void
}

/** Pairs of role and table above which the cache keeps only those that are needed. */
const MAX_KNOWN_RIGHTS = 5000

export function createKnownRights({ pool, keepsPrepared, onRead }: KnownRightsOptions): KnownRights {
  const digestsName = keepsPrepared ? 'listenql digests' : undefined
  const known = new Map<string, Known>()
  const reading = new Map<string, Promise<TableRights | undefined>>()
  let reads = 0

  /** Reads the rights of these pairs, and refreshes what is cached of the same roles and tables. */
  async function readNow(pairs: readonly RoleAndTable[]): Promise<void> {
    const read = ++reads
    const reviewedAt = performance.now()
    const relids = tablesOf(pairs)
    const roles = rolesOf(pairs)
    const wanted = new Set(pairs.map(keyOf))
    const client = await pool.connect()
    let isFit = false
    try {
      const { rights, digests } = await readAccess(client, relids, roles)
      isFit = true
      const byKey = new Map(rights.map(one => [keyOf(one), one]))
      for (const role of roles) {
        for (const relid of relids) {
          const key = keyOf({ relid, role })
          if (!wanted.has(key) && !known.has(key)) continue
          const found = byKey.get(key)
          const digest = digests.of(relid, role)
          store(key, found && { rights: found, digest, isSure: false, read, reviewedAt }, read)
        }
      }
    } finally {
      client.release(!isFit)
    }
  }

  function store(key: string, found: Known | undefined, read: number): void {
    const before = known.get(key)
    if (before && before.read > read) {
      known.set(key, { ...before, isSure: false }) // it is unknown which of the two is newer
      return
    }
    if (found) known.set(key, { ...found, isSure: before?.digest === found.digest })
    else known.delete(key)
    onRead(key, found?.rights)
  }

  return {
    get: of => known.get(keyOf(of)),
    all: () => [...known.values()].map(({ rights }) => rights),
    async read(of) {
      const key = keyOf(of)
      let pending = reading.get(key)
      if (!pending) {
        pending = readNow([of])
          .then(() => known.get(key)?.rights)
          .finally(() => reading.delete(key))
        reading.set(key, pending)
      }
      try {
        return await pending
      } catch (error) {
        throw new ListenqlError('DATABASE_FAILED', 'the server cannot find out what the role may read', {
          hint: 'try again',
          cause: error,
        })
      }
    },
    async review(pairs) {
      if (pairs.length === 0) return
      const began = performance.now()
      const digests = await readDigests(pool, tablesOf(pairs), rolesOf(pairs), digestsName)
      const stale: RoleAndTable[] = []
      for (const pair of pairs) {
        const key = keyOf(pair)
        const found = known.get(key)
        if (found?.isSure && digests.of(pair.relid, pair.role) === found.digest) {
          if (found.reviewedAt < began) known.set(key, { ...found, reviewedAt: began })
        } else stale.push(pair)
      }
      if (stale.length > 0) await readNow(stale)
    },
    trim(isNeeded) {
      if (known.size <= MAX_KNOWN_RIGHTS) return
      for (const key of [...known.keys()]) if (!isNeeded(key)) known.delete(key)
    },
  }
}

function tablesOf(pairs: readonly RoleAndTable[]): string[] {
  return [...new Set(pairs.map(({ relid }) => relid))].sort()
}

function rolesOf(pairs: readonly RoleAndTable[]): string[] {
  return [...new Set(pairs.map(({ role }) => role))].sort()
}
