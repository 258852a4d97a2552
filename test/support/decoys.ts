/**
 * SQL that fills schema `decoy` with functions, operators and types. They have the names of those of Postgres that the functions of
 * listenql without a fixed search_path call, and raise an error. With `decoy` first in the search_path, a name that such a function
 * does not qualify resolves to a decoy, and the call fails.
 */
export const DECOYS = `do $do$ declare d record; args text; begin
  create schema decoy;
  grant usage on schema decoy to public;
  for d in select distinct p.proname, oidvectortypes(p.proargtypes) as args, format_type(p.prorettype, null) as result, p.proretset as many
    from pg_proc p, pg_proc q, regexp_matches(q.prosrc, '([a-z_0-9]+)\\s*\\(', 'g') word
    where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.provariadic = 0 and p.proname = word[1]
      and q.pronamespace = 'listenql'::regnamespace and not coalesce(q.proconfig::text like '%search_path%', false) loop
    begin
      execute format('create function decoy.%I(%s) returns %s %s language plpgsql as %L', d.proname, d.args, case when d.many then 'setof' else '' end, d.result, 'begin raise exception ''decoy function''; end');
    exception when others then null; -- pseudo-types
    end;
  end loop;
  for d in select o.oprname, o.oprleft::regtype::text as l, o.oprright::regtype::text as r, o.oprresult::regtype::text as result, o.oid
    from pg_operator o where o.oprname in ('=', '<>', '<', '>', '<=', '>=', '+', '-', '||', '&', '|', '*', '>>', '~', '~*', '!~') and o.oprleft <> 0 loop
    begin
      execute format('create function decoy.op_%s(%s, %s) returns %s language plpgsql as %L', d.oid, d.l, d.r, d.result, 'begin raise exception ''decoy operator''; end');
      execute format('create operator decoy.%s (leftarg = %s, rightarg = %s, function = decoy.op_%s)', d.oprname, d.l, d.r, d.oid);
    exception when others then null;
    end;
  end loop;
  foreach args in array array['text', 'int2', 'int4', 'int8', 'oid', 'bool', 'json', 'regclass', 'float8', 'xid8', 'pg_snapshot', '_xid8'] loop
    execute format('create domain decoy.%I as pg_catalog.%I check (false)', args, args);
  end loop;
end $do$`
