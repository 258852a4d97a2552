import type pg from 'pg'
import { type Unindexed, unindexedForeignKeys, unindexedWords } from '../catalog/foreign-keys.js'
import type { WatchState } from '../catalog/watch.js'
import { ask } from '../postgres/lock-retry.js'

/** What watching a table has done, as a predicate: `is watched`. */
export function happened(before: WatchState | undefined, now: WatchState): string {
  const { always } = now
  if (!before) return always ? 'is watched, under any session_replication_role' : 'is watched'
  if (before.always !== now.always) {
    const which = now.always
      ? 'under any session_replication_role'
      : 'not under session_replication_role = replica'
    return `is watched ${which} from now on; a new history begins`
  }
  if (before.generation !== now.generation) return 'was watched already; a new history begins'
  return 'was watched already'
}

/**
 * What the owners of watched tables should know about them, as predicates, by oid.
 * @param keys the columns of the primary keys, by the tables' oids
 */
export async function notesOn(
  client: pg.Client,
  keys: ReadonlyMap<string, readonly string[]>,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const relids = [...keys.keys()]
  const rows = await ask<Facts>(
    client,
    `select c.oid::text as relid,
       array(select i.inhrelid::regclass::text from pg_inherits i where i.inhparent = c.oid and c.relkind = 'r' order by 1)
         as children, exists (select from pg_index where indrelid = c.oid and indisprimary) as keyed,
       exists (select from pg_subscription_rel where srrelid = c.oid) as replicated,
       array(select json_build_array(a.attname, quote_ident(a.attname)) from pg_attribute a
         join pg_type t on t.oid = a.atttypid and t.typcategory = 'A'
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum) as arrays
     from pg_class c where c.oid = any ($1::oid[])`,
    [relids],
  )
  const unindexed = await ask<Unindexed & { relids: readonly [from: string, to: string] }>(
    client,
    `select u.*, array[k.conrelid::text, k.confrelid::text] as relids from (${unindexedForeignKeys(
      'array[k.conrelid, k.confrelid] && $1::oid[]',
    )}) u join pg_constraint k on k.conrelid = u.table::regclass and k.conname = u.name order by 2, 1`,
    [relids],
  )
  return new Map(
    rows.map(facts => [
      facts.relid,
      [
        ...notesOf(facts, keys.get(facts.relid) ?? []),
        ...unindexed
          .filter(key => key.relids.includes(facts.relid))
          .map(key => {
            const what =
              key.relids[1] === facts.relid ? `has a relation to ${key.table}` : 'references a watched table'
            return `${what}: ${unindexedWords(key)}`
          }),
      ],
    ]),
  )
}

interface Facts {
  readonly relid: string
  /** Tables that inherit from it, other than partitions. */
  readonly children: readonly string[]
  readonly keyed: boolean
  /** A subscription of logical replication writes to it. */
  readonly replicated: boolean
  /** Columns that are arrays: the name, and the name as SQL. */
  readonly arrays: readonly (readonly [name: string, shown: string])[]
}

function notesOf({ children, keyed, replicated, arrays }: Facts, key: readonly string[]): string[] {
  const notes: string[] = []
  if (replicated) {
    notes.push(
      'is written by a subscription, which fires row triggers only: watch it on the publisher instead',
    )
  }
  if (children.length > 0) {
    notes.push(`has tables that inherit from it, whose rows count as its own: ${children.join(', ')}`)
  }
  if (key.length === 0) {
    const why = !keyed
      ? 'has no primary key'
      : children.length > 0
        ? 'has a primary key that is not unique over the tables that inherit from it'
        : 'has a primary key that is deferrable'
    notes.push(`${why}: its changes have no key by which a client could find the row`)
  }
  const inKey = arrays.filter(([name]) => key.includes(name)).map(([, shown]) => shown)
  if (inKey.length > 0) {
    notes.push(
      `has arrays in its primary key (${inKey.join(', ')}): where one has several dimensions or indexes that do not begin at 1, changes have an error instead of that value, and clients cannot find the row`,
    )
  }
  return notes
}
