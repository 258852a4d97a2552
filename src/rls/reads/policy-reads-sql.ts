// What policies read, from the catalogue: their stored expressions name every table, view, function and operator, also those that come
// with Postgres, of which pg_depend has no records; pg_depend names the columns. Views, SQL functions with a parsed body and the policies
// of the tables are followed, under the role to which Postgres applies them.
import { appliesSql } from '../policies.js'
import { HAS_ROW_SECURITY, sum } from '../privileges.js'
import { roleSettingsSql } from '../role-settings.js'

/** The comment that declares what a function reads: `@listenql reads public.members, public.orgs`, or `@listenql reads nothing`. */
const DECLARATION = '@listenql reads[[:space:]]+([^\\n]*)'

const DECLARED = (f: string) =>
  `(select (pg_catalog.regexp_match(d.description, '${DECLARATION}'))[1] from pg_catalog.pg_description d
    where d.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objoid = ${f}.oid and d.objsubid = 0)`

/** The names in a declaration, one a row, as `name`. */
const DECLARED_NAMES = (f: string) =>
  `(select pg_catalog.btrim(t.name) as name from pg_catalog.regexp_split_to_table(${DECLARED(f)}, ',') t(name)) names`

/** The table of a declared name. Its schema may be left out if it is `public`. */
const IS_NAMED = `names.name in (pg_catalog.concat(n.nspname, '.', c.relname), pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.relname)),
  case when n.nspname = 'public' then c.relname::pg_catalog.text end, case when n.nspname = 'public' then pg_catalog.quote_ident(c.relname) end)`

/** Its tables and functions are those of the caller, whatever the owner of the view may read. */
const IS_INVOKER = `exists (select from pg_catalog.unnest(c.reloptions) o where o ~* '^security_invoker=(t|y|on|1)')`

/** The body of an SQL function that was parsed when it was created. PostgreSQL has it from 14 on. */
const PARSED_BODY = `pg_catalog.to_jsonb(f) ->> 'prosqlbody'`

/** The expressions of the reached object, with the roles under which tables and functions in them are read. */
const BODIES = `
select p.polqual::pg_catalog.text as tree, reach.owner as owner, reach.caller as caller from pg_catalog.pg_policy p
where reach.kind = 'policy' and p.oid = reach.oid
union all select w.ev_action::pg_catalog.text, case when ${IS_INVOKER} then reach.caller else c.relowner end, reach.caller
from pg_catalog.pg_class c join pg_catalog.pg_rewrite w on w.ev_class = c.oid and w.ev_type = '1'
where reach.kind = 'relation' and c.oid = reach.oid and c.relkind = 'v' and c.oid >= 16384
union all select ${PARSED_BODY}, case when f.prosecdef then f.proowner else reach.caller end, case when f.prosecdef then f.proowner else reach.caller end
from pg_catalog.pg_proc f where reach.kind = 'function' and f.oid = reach.oid and f.oid >= 16384 and ${DECLARED('f')} is null`

/** What an expression names. Functions of Postgres that are IMMUTABLE read nothing. */
const NAMED = `
select 'relation' as kind, m[1]::pg_catalog.oid as oid, body.owner as owner, body.caller as caller, false as "isWhole"
from pg_catalog.regexp_matches(body.tree, ':relid ([1-9][0-9]*)', 'g') m
union all select 'function', f.oid, body.caller, body.caller, false
from pg_catalog.regexp_matches(body.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([1-9][0-9]*)', 'g') m
join pg_catalog.pg_proc f on f.oid = m[1]::pg_catalog.oid where f.oid >= 16384 or f.provolatile <> 'i'`

/** Expressions name a time (SQLValueFunction: CURRENT_DATE to LOCALTIMESTAMP), or a random sample of rows. */
const TIMED = `~ 'SQLVALUEFUNCTION :op [0-8] '`
const SAMPLED = `~ 'TABLESAMPLECLAUSE'`
/** They use a whole row, of which pg_depend has no columns. */
const WHOLE = `~ ':varattno 0 '`

/** @param object its catalogue and oid */
function columnsSql(catalogue: string, object: string): string {
  return `(select pg_catalog.json_agg(pg_catalog.json_build_object('relid', d.refobjid::pg_catalog.text, 'name', a.attname,
      'isPlain', a.attnum > 0 and coalesce(pg_catalog.to_jsonb(a) ->> 'attgenerated', '') <> 'v') order by d.refobjid, d.refobjsubid)
    from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.classid = 'pg_catalog.${catalogue}'::pg_catalog.regclass and d.objid = ${object} and d.refobjsubid <> 0
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)`
}

function flagsSql(tree: string): string {
  return `'isTimed', ${tree} ${TIMED}, 'isSampled', ${tree} ${SAMPLED}, 'isWhole', ${tree} ${WHOLE}`
}

const POLICY = `pg_catalog.json_build_object('text', pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'columns', ${columnsSql('pg_policy', 'p.oid')},
  'relid', p.polrelid::pg_catalog.text, ${flagsSql('p.polqual::pg_catalog.text')})`

const RELATION = `pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'type', c.relkind, 'isWholly', reach."isWhole",
  'above', (with recursive up(relid, i) as (select v.inhparent, 1 from pg_catalog.pg_inherits v where v.inhrelid = c.oid
      union all select v.inhparent, up.i + 1 from up join pg_catalog.pg_inherits v on v.inhrelid = up.relid)
    select coalesce(pg_catalog.json_agg(up.relid::pg_catalog.text order by up.i), '[]') from up),
  'text', case when c.relkind = 'v' and c.oid >= 16384 then pg_catalog.pg_get_viewdef(c.oid) end, 'columns', ${columnsSql('pg_rewrite', 'w.oid')},
  ${flagsSql('w.ev_action::pg_catalog.text')})`

const FUNCTION = `pg_catalog.json_build_object('schema', n.nspname, 'name', f.proname, 'arguments', pg_catalog.pg_get_function_identity_arguments(f.oid),
  'inputs', f.pronargs, 'names', f.proargnames, 'language', l.lanname, 'kind', f.prokind, 'volatility', f.provolatile, 'isOfPostgres', f.oid < 16384,
  'source', case when f.oid >= 16384 then f.prosrc end, 'isParsed', ${PARSED_BODY} is not null,
  'readsSettings', (${PARSED_BODY}) ~ ':funcid (2077|3294) ', 'columns', ${columnsSql('pg_proc', 'f.oid')},
  'takesRole', exists (select from pg_catalog.unnest(f.proconfig) o where o ~* '^(role|session_authorization)='),
  'declared', ${DECLARED('f')}, 'undeclarable', case when ${DECLARED('f')} is not null then (select pg_catalog.json_agg(names.name) from ${DECLARED_NAMES('f')}
    where not exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where ${IS_NAMED})) end,
  ${flagsSql(`(${PARSED_BODY})`)})`

/**
 * What decides which rows of tables ($1, oid[]) roles ($2, text[], one for each table) see: for each pair that exists a row with its
 * number and JSON.
 */
export const POLICY_READS = `
with recursive asked as (
  select a.i, c.oid as relid, r.oid as role, coalesce(${HAS_ROW_SECURITY}, true) as "isSecured"
  from rows from (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[])) with ordinality a(relid, role, i)
  join pg_catalog.pg_class c on c.oid = a.relid join pg_catalog.pg_roles r on r.rolname::pg_catalog.text = a.role
), reach(i, policy, kind, oid, owner, caller, "isWhole") as (
  select a.i, p.oid, 'policy', p.oid, a.role, a.role, false from asked a join pg_catalog.pg_policy p on p.polrelid = a.relid
  where a."isSecured" and ${appliesSql('p', 'a.role')}
  union
  select reach.i, reach.policy, next.* from reach cross join lateral (
    select named.* from (${BODIES}) body cross join lateral (${NAMED}) named
    union all select 'policy', p.oid, reach.owner, reach.caller, false
    from pg_catalog.pg_class c join pg_catalog.pg_roles r on r.oid = reach.owner join pg_catalog.pg_policy p on p.polrelid = c.oid
    where reach.kind = 'relation' and c.oid = reach.oid and ${HAS_ROW_SECURITY} and ${appliesSql('p', 'r.oid')}
    union all select 'relation', c.oid, case when f.prosecdef then f.proowner else reach.caller end, case when f.prosecdef then f.proowner else reach.caller end, true
    from pg_catalog.pg_proc f cross join lateral ${DECLARED_NAMES('f')}
      join (pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace) on c.relkind in ('r', 'p', 'v', 'm', 'f') and ${IS_NAMED}
    where reach.kind = 'function' and f.oid = reach.oid and f.oid >= 16384
  ) next
), steps as (
  select distinct on (reach.i, reach.policy, reach.kind, reach.oid) reach.i, p.polname as policy, reach.kind, reach.oid, reach."isWhole"
  from reach join pg_catalog.pg_policy p on p.oid = reach.policy
  order by reach.i, reach.policy, reach.kind, reach.oid, reach."isWhole" desc
)
select a.i::pg_catalog.int4 as "i", pg_catalog.json_build_object('isSecured', a."isSecured", 'settings', ${roleSettingsSql('a.role')},
  'steps', coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('policy', reach.policy, 'kind', reach.kind, 'oid', reach.oid::pg_catalog.text,
      'found', case reach.kind
        when 'policy' then (select ${POLICY} from pg_catalog.pg_policy p where p.oid = reach.oid)
        when 'relation' then (select ${RELATION} from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          left join pg_catalog.pg_rewrite w on w.ev_class = c.oid and w.ev_type = '1' and c.relkind = 'v' and c.oid >= 16384 where c.oid = reach.oid)
        else (select ${FUNCTION} from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
          join pg_catalog.pg_language l on l.oid = f.prolang where f.oid = reach.oid) end) order by reach.policy, reach.kind, reach.oid)
    from steps reach where reach.i = a.i), '[]'))::pg_catalog.text as "reads"
from asked a order by a.i`

/**
 * What the result of POLICY_READS, and the rows that policies show, depend on in the catalogue, as one text: of tables and views ($1,
 * oid[]), of functions ($2, oid[]) and of roles ($3, text[]). It covers the versions of rows, so that it never goes back to a former value.
 */
export const POLICY_DIGEST = `
with recursive up(oid) as (
  select r.oid from pg_catalog.pg_roles r where r.rolname::pg_catalog.text = any ($3::pg_catalog.text[])
  union select m.roleid from up join pg_catalog.pg_auth_members m on m.member = up.oid
)
select pg_catalog.concat_ws(' | ',
  ${sum('c.oid, c.xmin, n.xmin', 'pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1::pg_catalog.oid[])')},
  ${sum('p.oid, p.xmin', 'pg_catalog.pg_policy p where p.polrelid = any ($1::pg_catalog.oid[])')},
  ${sum('w.oid, w.xmin', 'pg_catalog.pg_rewrite w where w.ev_class = any ($1::pg_catalog.oid[])')},
  ${sum('v.inhparent, v.xmin', 'pg_catalog.pg_inherits v where v.inhrelid = any ($1::pg_catalog.oid[])')},
  ${sum('f.oid, f.xmin', 'pg_catalog.pg_proc f where f.oid = any ($2::pg_catalog.oid[])')},
  ${sum('d.objoid, d.xmin', `pg_catalog.pg_description d where d.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objoid = any ($2::pg_catalog.oid[])`)},
  ${sum('r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolinherit', 'up join pg_catalog.pg_roles r on r.oid = up.oid')},
  ${sum('m.roleid, m.xmin', 'up join pg_catalog.pg_auth_members m on m.member = up.oid')},
  ${sum('s.setdatabase, s.setrole, s.setconfig', 'pg_catalog.pg_db_role_setting s')}) as "digest"`
