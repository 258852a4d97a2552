// Which policies read the table that they belong to: their answers then depend on the present rows and not on the image alone. It is
// found in the catalogue before a subscription starts, and by counting scans while policies run.
import type { ClientBase } from 'pg'
import { ListenqlError } from '../lib/errors.js'

/** Whether a text contains this name as a word. Regular expressions are slow to compile, so `strpos` is tried first. */
const WORD = (name: string, text: string) =>
  `case when pg_catalog.strpos(pg_catalog.lower(${text}), pg_catalog.lower(${name})) = 0 then false when ${name} !~ '^\\w+$' then true
    else pg_catalog.lower(${text}) ~ pg_catalog.concat('\\m', pg_catalog.lower(${name}), '\\M') end`

/** The dependencies that Postgres has recorded for an object of this catalogue. */
const NOTED = (catalog: string, oid: string) =>
  `select d.refclassid, d.refobjid from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass
    and d.objid = ${oid} and d.refobjid >= 16384 and d.deptype in ('n', 'a')`

/**
 * Whether policies of table $1 (oid) may read the table itself: through functions, views, and the policies of other tables.
 * Postgres records no dependencies of function bodies, so they are searched for names. A function that builds its SQL from pieces
 * is not found.
 */
const MAY_READ_ITSELF = `
with recursive tree(relid) as (
  select $1::pg_catalog.oid
  union select case when i.inhparent = t.relid then i.inhrelid else i.inhparent end
  from tree t join pg_catalog.pg_inherits i on t.relid in (i.inhparent, i.inhrelid)
), noted(class, oid) as (
  select n.refclassid, n.refobjid from pg_catalog.pg_policy p cross join lateral (${NOTED('pg_policy', 'p.oid')}) n
  where p.polrelid = $1::pg_catalog.oid and n.refobjid <> p.polrelid
), reach(class, oid) as (
  select noted.class, noted.oid from noted
  union
  select next.refclassid, next.refobjid from reach cross join lateral (
    select 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid as refclassid, o.oprcode::pg_catalog.oid as refobjid from pg_catalog.pg_operator o
    where reach.class = 'pg_catalog.pg_operator'::pg_catalog.regclass and o.oid = reach.oid
    union all select n.refclassid, n.refobjid from (${NOTED('pg_proc', 'reach.oid')}) n
    where reach.class = 'pg_catalog.pg_proc'::pg_catalog.regclass
    union all select 'pg_catalog.pg_proc'::pg_catalog.regclass, g.oid from pg_catalog.pg_proc f join pg_catalog.pg_language l on l.oid = f.prolang
      join pg_catalog.pg_proc g on g.oid >= 16384
        and g.prolang not in (select l.oid from pg_catalog.pg_language l where l.lanname in ('internal', 'c')) and ${WORD('g.proname', 'f.prosrc')}
    where reach.class = 'pg_catalog.pg_proc'::pg_catalog.regclass and f.oid = reach.oid and l.lanname not in ('internal', 'c')
    union all select 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid from pg_catalog.pg_proc f join pg_catalog.pg_language l on l.oid = f.prolang
      join pg_catalog.pg_class c on c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f') and ${WORD('c.relname', 'f.prosrc')}
    where reach.class = 'pg_catalog.pg_proc'::pg_catalog.regclass and f.oid = reach.oid and l.lanname not in ('internal', 'c')
    union all select n.refclassid, n.refobjid from pg_catalog.pg_rewrite w cross join lateral (${NOTED('pg_rewrite', 'w.oid')}) n
    where reach.class = 'pg_catalog.pg_class'::pg_catalog.regclass and w.ev_class = reach.oid
    union all select n.refclassid, n.refobjid from pg_catalog.pg_policy p cross join lateral (${NOTED('pg_policy', 'p.oid')}) n
    where reach.class = 'pg_catalog.pg_class'::pg_catalog.regclass and p.polrelid = reach.oid and n.refobjid <> p.polrelid
      and reach.oid not in (select tree.relid from tree)
  ) next
)
select exists (select from reach join tree on tree.relid = reach.oid
  where reach.class = 'pg_catalog.pg_class'::pg_catalog.regclass) as "found"`

/**
 * @returns whether policies of the table may read the table itself, by what the catalogue shows
 * @throws ListenqlError DATABASE_FAILED
 */
export async function mayReadItself(client: Pick<ClientBase, 'query'>, relid: string): Promise<boolean> {
  try {
    const { rows } = await client.query<{ found: boolean }>(MAY_READ_ITSELF, [relid])
    return rows[0]?.found === true
  } catch (error) {
    throw new ListenqlError('DATABASE_FAILED', 'the server cannot find out what the policies read', {
      hint: 'try again',
      cause: error,
    })
  }
}

/**
 * The tables whose policies have read the table itself, by role. They are remembered for good: a policy may call a function that
 * reads the table only now and then.
 */
export interface SelfReading {
  has(relid: string, role: string): boolean
  add(relid: string, role: string): void
}

export function createSelfReading(): SelfReading {
  const tables = new Map<string, Set<string>>()
  return {
    has: (relid, role) => tables.get(relid)?.has(role) === true,
    add(relid, role) {
      const roles = tables.get(relid) ?? new Set()
      tables.set(relid, roles.add(role))
    },
  }
}

/** What the first column of `scansSql` holds. */
export const SCANS = 'scans'

/**
 * SELECT that returns SCANS, the given number, and how many scans this transaction has begun on the table, its child tables and
 * their indexes: the count grows when a policy has read the table itself.
 */
export function scansSql(relid: string, number: number): string {
  return `with recursive tree(relid) as (select ${Number(relid)}::pg_catalog.oid union select i.inhrelid from tree t join pg_catalog.pg_inherits i on i.inhparent = t.relid)
    select '${SCANS}', ${number}, (select pg_catalog.sum(pg_catalog.pg_stat_get_xact_numscans(o.oid)) from (select relid as oid from tree
      union all select x.indexrelid from tree t join pg_catalog.pg_index x on x.indrelid = t.relid) o)`
}
