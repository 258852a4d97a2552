import type { ClientBase } from 'pg'
import type { RelationName } from '../lib/patterns/table-pattern.js'
import { ask } from '../postgres/lock-retry.js'

/** A table, view, foreign table or the like in the database, and what matters to whether it can be watched. */
export interface Relation extends RelationName {
  readonly relid: string
  /** As SQL, with its schema where necessary: `people`, `chat."Mixed Case"`. */
  readonly shown: string
  readonly owner: string
  readonly kind: 'table' | 'view' | 'materialized view' | 'foreign table'
  readonly isTemporary: boolean
  readonly isOfSystem: boolean
  /** It is a partition, or inherits from another table. */
  readonly isPart: boolean
  /** The topmost tables of which it is a partition or child, as `shown`. */
  readonly roots: readonly string[]
  /** The extension that it belongs to. */
  readonly extension: string | null
  /** The first of its parts, or itself, that is a foreign table or unlogged, as `shown`. */
  readonly unsuitable: string | null
  /** The login may create triggers on it and all its parts. */
  readonly mayTrigger: boolean
}

/** A watched table, as far as a decision about it needs. */
export interface WatchedRelation extends RelationName {
  readonly relid: string
  readonly shown: string
  readonly always: boolean
  /** Its history is complete. */
  readonly isWhole: boolean
}

/** `$1`: whether to list what belongs to the system, too. Indexes, sequences, TOAST and composite types are no relations here. */
const RELATIONS = `
with recursive down(root, relid) as (
  select c.oid, c.oid from pg_class c where c.relkind in ('r', 'p') and c.oid >= 16384
  union select d.root, i.inhrelid from down d join pg_inherits i on i.inhparent = d.relid
), parts as (
  select d.root, bool_and(has_table_privilege(c.oid, 'trigger') and has_schema_privilege(c.relnamespace, 'usage')) as "mayTrigger",
    min(c.oid::regclass::text) filter (where c.relkind not in ('r', 'p') or c.relpersistence = 'u') as unsuitable
  from down d join pg_class c on c.oid = d.relid group by d.root
), up(relid, parent) as (
  select i.inhrelid, i.inhparent from pg_inherits i
  union select u.relid, i.inhparent from up u join pg_inherits i on i.inhrelid = u.parent
)
select c.oid::text as relid, c.oid::regclass::text as shown, n.nspname::text as schema, c.relname::text as name,
  pg_table_is_visible(c.oid) as "isVisible", pg_get_userbyid(c.relowner)::text as owner,
  case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table' end as kind,
  c.relpersistence = 't' as "isTemporary",
  (n.nspname ~ '^pg_' and c.relpersistence <> 't') or n.nspname in ('information_schema', 'listenql') as "isOfSystem",
  exists (select from pg_inherits i where i.inhrelid = c.oid) as "isPart",
  array(select u.parent::regclass::text from up u where u.relid = c.oid
    and not exists (select from pg_inherits i where i.inhrelid = u.parent) order by 1) as roots,
  (select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e' limit 1) as extension,
  p.unsuitable, coalesce(p."mayTrigger", false) as "mayTrigger"
from pg_class c join pg_namespace n on n.oid = c.relnamespace left join parts p on p.root = c.oid
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_toast'
  and ($1 or not ((n.nspname ~ '^pg_' and c.relpersistence <> 't') or n.nspname in ('information_schema', 'listenql')))
order by n.nspname collate "C", c.relname collate "C"`

/**
 * The relations of the database. Needs no right on them.
 * @param options.system also those of the system. Default: false
 */
export function readRelations(
  client: ClientBase,
  options: { readonly system?: boolean } = {},
): Promise<Relation[]> {
  return ask<Relation>(client, RELATIONS, [options.system === true])
}

/** The watched tables; none if there is no schema `listenql`. @throws DatabaseError insufficient_privilege */
export async function readWatched(client: ClientBase): Promise<WatchedRelation[]> {
  const [found] = await ask<{ present: boolean }>(
    client,
    `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'listenql' and c.relname = 'watched') as present`,
  )
  if (!found?.present) return []
  return ask<WatchedRelation>(
    client,
    `select w.relid::text as relid, w.relid::regclass::text as shown, w.schema_name as schema, w.table_name as name,
       pg_table_is_visible(w.relid) as "isVisible", w.always, w.since_n is not null as "isWhole"
     from listenql.watched w order by w.schema_name collate "C", w.table_name collate "C"`,
  )
}

/** Tables that are still on the list of watched tables, but were dropped; none that this login may not see. */
export async function readDropped(
  client: ClientBase,
): Promise<(Pick<WatchedRelation, 'relid' | 'shown'> & RelationName)[]> {
  const [found] = await ask<{ may: boolean }>(
    client,
    `select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as may
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'listenql' and c.relname = 'watched_table'`,
  )
  if (!found?.may) return []
  return ask(
    client,
    `select w.relid::oid::text as relid, format('%I.%I', w.schema_name, w.table_name) as shown, w.schema_name as schema,
       w.table_name as name, w.schema_name = any (current_schemas(false)::text[]) as "isVisible"
     from listenql.watched_table w where not exists (select from pg_class c where c.oid = w.relid::oid) order by 2`,
  )
}
