// Keeps what the policies of tables read for roles. While it is held, the server checks it again as often as the rights: a changed
// policy, grant, view, function, role or setting is reported, since rows may have become visible or invisible without an event.
import type pg from 'pg'
import { ListenqlError } from '../../lib/errors.js'
import type { Stop } from '../../lib/stop.js'
import { keyOf, type RoleAndTable } from '../known-rights.js'
import { type PolicyReads, policyReadsOf } from './policy-reads.js'
import { POLICY_DIGEST, POLICY_READS } from './policy-reads-sql.js'

/** By the oids of the tables. A table or role that is gone is left out. */
export type PolicyReadsByTable = ReadonlyMap<string, PolicyReads>

export interface PolicyWatchOptions {
  readonly pool: pg.Pool
  /** Longest time that an answer is used without a check, in ms. */
  readonly maxAge: number
  /** Whether statements may stay prepared, which a pooler in transaction mode does not allow. */
  readonly keepsPrepared: boolean
}

export interface PolicyWatch {
  /**
   * What the policies of the tables read, as of the last check, a moment ago.
   * @throws ListenqlError DATABASE_FAILED
   */
  read(role: string, relids: readonly string[]): Promise<PolicyReadsByTable>
  /**
   * Calls `checked` after each check, with what the policies read now. `isChanged`: rows may have become visible or invisible. It may be
   * true although nothing is different.
   */
  hold(
    role: string,
    relids: readonly string[],
    checked: (reads: PolicyReadsByTable, isChanged: boolean) => void,
  ): Stop
  /** Checks what is held. Rejects with the error of Postgres or the connection. */
  review(): Promise<void>
}

interface Holder {
  readonly role: string
  readonly relids: readonly string[]
  readonly checked: (reads: PolicyReadsByTable, isChanged: boolean) => void
  /** The number of the last change that it was told. */
  seen: number
}

/** Pairs of role and table that are kept although nothing holds them. */
const MAX_KNOWN = 5000

export function createPolicyWatch({ pool, maxAge, keepsPrepared }: PolicyWatchOptions): PolicyWatch {
  const known = new Map<string, PolicyReads>()
  const holders = new Set<Holder>()
  let digest = ''
  let checkedAt = Number.NEGATIVE_INFINITY
  /** Counts the changes. */
  let version = 0
  /**
   * A commit is visible in snapshots a moment before other sessions invalidate their catalogue caches: rows that are read in that moment
   * may still show the former policies. So a change is reported once more at the next check.
   */
  let isSure = true
  let queue: Promise<unknown> = Promise.resolve()

  /** One at a time, so that a digest belongs to what is known. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = queue.then(work)
    queue = done.catch(() => undefined)
    return done
  }

  /** What these pairs depend on. */
  async function readDigest(keys: readonly string[]): Promise<string> {
    if (keys.length === 0) return ''
    const pairs = keys.map(pairOf)
    const all = keys.flatMap(key => known.get(key) ?? [])
    const { rows } = await pool.query<{ digest: string }>({
      ...(keepsPrepared && { name: 'listenql policy digest' }),
      text: POLICY_DIGEST,
      values: [
        [...new Set([...pairs.map(({ relid }) => relid), ...all.flatMap(({ relations }) => relations)])],
        [...new Set(all.flatMap(({ functions }) => functions))],
        [...new Set(pairs.map(({ role }) => role))],
      ],
    })
    return rows[0]?.digest ?? ''
  }

  async function readPairs(pairs: readonly RoleAndTable[]): Promise<void> {
    if (pairs.length === 0) return
    const values = [pairs.map(({ relid }) => relid), pairs.map(({ role }) => role)]
    const { rows } = await pool.query<{ i: number; reads: string }>(POLICY_READS, values)
    const found = new Map(rows.map(({ i, reads }) => [i, reads]))
    pairs.forEach((pair, i) => {
      const text = found.get(i + 1)
      if (text === undefined) known.delete(keyOf(pair))
      else known.set(keyOf(pair), policyReadsOf(pair.relid, text))
    })
  }

  /** Reads these pairs, until nothing has changed meanwhile that they depend on. @returns the digest of all pairs */
  async function learn(keys: readonly string[]): Promise<string> {
    const pairs = keys.map(pairOf)
    await readPairs(pairs)
    for (;;) {
      const before = await readDigest([...known.keys()])
      await readPairs(pairs)
      const after = await readDigest([...known.keys()])
      if (before === after) return after
    }
  }

  async function check(): Promise<void> {
    const began = performance.now()
    const keys = [...known.keys()]
    if ((await readDigest(keys)) !== digest) {
      version++
      isSure = false
      digest = await learn(keys)
    } else if (!isSure) {
      version++
      isSure = true
    }
    checkedAt = began
  }

  /** Reads further pairs. What was known before may have changed since its digest was read, so that digest is compared afterwards. */
  async function add(keys: readonly string[]): Promise<void> {
    const before = [...known.keys()]
    const added = await learn(keys)
    if ((await readDigest(before)) === digest) digest = added
    else {
      version++
      isSure = false
      digest = await learn([...known.keys()])
    }
  }

  function resultOf(role: string, relids: readonly string[]): PolicyReadsByTable {
    const found = new Map<string, PolicyReads>()
    for (const relid of relids) {
      const reads = known.get(keyOf({ relid, role }))
      if (reads) found.set(relid, reads)
    }
    return found
  }

  async function provide(role: string, relids: readonly string[]): Promise<void> {
    if (checkedAt < performance.now() - maxAge) await check()
    const missing = relids.map(relid => keyOf({ relid, role })).filter(key => !known.has(key))
    if (missing.length > 0) await add(missing)
  }

  /** If too many pairs are known, drops those that are not held. */
  async function trim(): Promise<void> {
    if (known.size <= MAX_KNOWN) return
    const held = new Set(
      [...holders].flatMap(({ role, relids }) => relids.map(relid => keyOf({ relid, role }))),
    )
    const kept = [...known.keys()].filter(key => held.has(key))
    const before = await readDigest([...known.keys()])
    if (before !== digest) return
    for (const key of [...known.keys()]) if (!held.has(key)) known.delete(key)
    version++ // something may have changed before these are read
    digest = await learn(kept)
  }

  function tell(): void {
    for (const holder of [...holders]) {
      const isChanged = holder.seen !== version
      holder.seen = version
      holder.checked(resultOf(holder.role, holder.relids), isChanged)
    }
  }

  return {
    async read(role, relids) {
      try {
        const isKnown =
          checkedAt >= performance.now() - maxAge && relids.every(relid => known.has(keyOf({ relid, role })))
        if (!isKnown) await inTurn(() => provide(role, relids))
        return resultOf(role, relids)
      } catch (error) {
        throw new ListenqlError('DATABASE_FAILED', 'the server cannot find out what the policies read', {
          hint: 'try again',
          cause: error,
        })
      }
    },
    hold(role, relids, checked) {
      const holder: Holder = { role, relids, checked, seen: version }
      holders.add(holder)
      return () => void holders.delete(holder)
    },
    async review() {
      if (holders.size === 0 && known.size <= MAX_KNOWN) return
      await inTurn(async () => {
        await check()
        await trim()
      })
      tell()
    },
  }
}

function pairOf(key: string): RoleAndTable {
  const at = key.indexOf(' ')
  return { relid: key.slice(0, at), role: key.slice(at + 1) }
}
