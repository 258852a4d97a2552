-- Histories that end whenever something was missed, and a log that makes itself whole where a dump has left parts of it out.

-- The tables that are as the last look found them: an upgrade begins no new history. (No temporary table: that takes a right.)
create table listenql.upgrade as
  select w.relid::oid as relid, w.generation from listenql.watched_table w
  where w.since_n is not null and w.fingerprint = listenql.fingerprint(w.relid);

-- The version of the schema, also in a dump without rows. The program that migrates puts its number in.
create or replace function listenql.schema_version() returns int language sql immutable set search_path = pg_catalog, pg_temp as 'select 10';

-- For rows that are loaded into the log (pg_restore --data-only), with transaction ids of elsewhere. Rows that are logged here go through
-- the partitioned table, for which triggers of its partitions that fire once a statement do not.
create function listenql.note_load() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update listenql.history set database = 0 where database <> 0;
  return null;
end $$;

-- Creates what a dump can leave out of the tables of the log: partitions, keys, indexes, triggers (--section, --table).
create function listenql.provide_parts() returns void language plpgsql
  set search_path = pg_catalog, pg_temp set client_min_messages = warning set default_tablespace = '' set default_table_access_method = heap as $$
declare k record; part text;
begin
  for k in select * from (values ('migration', 'version'), ('history', 'only_row'), ('batch', 'n'), ('watched_table', 'relid'), ('kick', 'id')) t(name, key)
      where not exists (select from pg_index i where i.indrelid = format('listenql.%I', t.name)::regclass and i.indisprimary) loop
    execute format('delete from listenql.%1$I a using listenql.%1$I b where a.%2$I = b.%2$I and a.ctid > b.ctid', k.name, k.key);
    execute format('delete from listenql.%1$I a where a.%2$I is null', k.name, k.key);
    execute format('alter table listenql.%I add primary key (%I)', k.name, k.key);
  end loop;
  for k in select * from generate_series(0, 3) t(slot) loop
    part := format('listenql.event_%s', k.slot);
    if to_regclass(part) is null then
      execute format('create table %s partition of listenql.event for values in (%s)', part, k.slot);
    end if;
    if not exists (select from pg_trigger t where t.tgrelid = part::regclass and t.tgname = 'listenql_load' and t.tgenabled = 'A') then
      execute format('drop trigger if exists listenql_load on %s', part);
      execute format('create trigger listenql_load before insert on %s for each statement execute function listenql.note_load()', part);
      execute format('alter table %s enable always trigger listenql_load', part);
    end if;
  end loop;
  if not exists (select from pg_index i where i.indrelid = 'listenql.event'::regclass and i.indisvalid) then
    drop index if exists listenql.event_order;
    create index event_order on listenql.event (xid, statement, id);
  end if;
  create index if not exists kick_order on listenql.kick (xid);
  create index if not exists kick_age on listenql.kick (at);
end $$;

-- Whether the state of the log is all there, and of this database: not the rows of another one, nor none.
create function listenql.is_whole() returns boolean language plpgsql volatile
  set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  return (select count(*) = 4 from pg_trigger t where t.tgname = 'listenql_load' and t.tgenabled = 'A'
      and t.tgrelid in (select i.inhrelid from pg_inherits i where i.inhparent = 'listenql.event'::regclass))
    and (select count(*) = 5 from pg_index i where i.indisprimary and i.indrelid in ('listenql.migration'::regclass,
      'listenql.history'::regclass, 'listenql.batch'::regclass, 'listenql.watched_table'::regclass, 'listenql.kick'::regclass))
    and exists (select from pg_index i where i.indrelid = 'listenql.event'::regclass and i.indisvalid)
    and exists (select from listenql.migration)
    and exists (select from listenql.history h, pg_control_system() c, pg_database d
      where d.datname = current_database() and h.database = d.oid and h.system_identifier = c.system_identifier)
    and num_nulls(pg_sequence_last_value('listenql.head'), pg_sequence_last_value('listenql.armed'),
      pg_sequence_last_value('listenql.cleared'), pg_sequence_last_value('listenql.lease')) = 0
    -- What has not happened yet is of elsewhere. By the snapshot of this very query: what commits after an earlier one has happened.
    and (select pg_snapshot_xmax(b.snapshot) <= pg_snapshot_xmax(pg_current_snapshot()) from listenql.batch b order by b.n desc limit 1) is true
    and not exists (select from listenql.event e where e.xid >= pg_snapshot_xmax(pg_current_snapshot())
      and e.xid is distinct from pg_current_xact_id_if_assigned());
end $$;

-- Puts tables on the list of watched ones that have our triggers and are not on it, since the list was left out of a dump. Of a
-- tree the topmost. Not those that were silenced.
create function listenql.adopt() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  with recursive bearing as (
    select g.tgrelid as relid, bool_or(g.tgenabled = 'A') as always from pg_trigger g join pg_proc p on p.oid = g.tgfoid
    where p.pronamespace = 'listenql'::regnamespace and p.proname ~ '^capture_\d+$' and p.prosrc <> 'begin return null; end'
    group by g.tgrelid
  ), above(relid, parent) as (
    select i.inhrelid, i.inhparent from pg_inherits i union select a.relid, i.inhparent from above a join pg_inherits i on i.inhrelid = a.parent
  )
  insert into listenql.watched_table (relid, generation, whole_from, always, owner, schema_name, table_name, key_columns)
    select c.oid, h.generation + 1, h.generation + 1, b.always, c.relowner, n.nspname, c.relname, listenql.key_columns(c.oid)
    from bearing b join pg_class c on c.oid = b.relid join pg_namespace n on n.oid = c.relnamespace cross join listenql.history h
    where c.relkind in ('r', 'p') and c.relpersistence = 'p'
      and not exists (select from above a join bearing o on o.relid = a.parent where a.relid = b.relid)
      and not exists (select from listenql.watched_table w where w.relid = b.relid
        or exists (select from above a where a.relid = b.relid and a.parent = w.relid))
    on conflict do nothing;
end $$;

-- Everything logged before was logged elsewhere, with other transaction ids, maybe for other tables; or the state of the log was
-- left out of a dump. Makes it whole, and begins anew.
create or replace function listenql.begin_history() returns void language plpgsql set search_path = pg_catalog, pg_temp
  set lock_timeout = '5s' as $$
declare newest bigint; f record;
begin
  lock table listenql.history in share row exclusive mode; -- one at a time, whether or not there is a row
  if listenql.is_whole() then return; end if;              -- another one was quicker
  perform listenql.provide_parts();
  truncate listenql.event;
  select greatest(0, (select max(b.n) from listenql.batch b), (select max(h.horizon) from listenql.history h),
    (select max(w.since_n) from listenql.watched_table w)) into newest;
  insert into listenql.batch (n, token, snapshot, xids) values (newest + 1, (random() * 1e15)::bigint, pg_current_snapshot(), '{}');
  delete from listenql.batch where n <= newest;
  insert into listenql.history (system_identifier, database, horizon, generation)
    select c.system_identifier, d.oid, newest + 1, coalesce((select max(w.generation) from listenql.watched_table w), 0)
    from pg_control_system() c, pg_database d where d.datname = current_database()
    on conflict (only_row) do update set system_identifier = excluded.system_identifier, database = excluded.database, horizon = excluded.horizon;
  insert into listenql.migration (version, name) select v, 'restored' from generate_series(1, listenql.schema_version()) v on conflict do nothing;
  perform setval(s, 0) from unnest('{listenql.head,listenql.armed,listenql.cleared,listenql.lease}'::regclass[]) s
    where pg_sequence_last_value(s) is null;
  update listenql.watched_table set since_n = null, since_token = null, since = null where since_n is not null;
  perform listenql.adopt();
  -- A dump without privileges takes back what was revoked.
  for f in select p.oid::regprocedure as name from pg_proc p where p.pronamespace = 'listenql'::regnamespace and p.proacl is null loop
    execute format('revoke all on function %s from public', f.name);
  end loop;
end $$;

-- Begins anew if the log is not whole. The locks of the look are given back before, or two that look at once wait for each other.
create function listenql.provide_history() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  begin
    if listenql.is_whole() then return; end if;
    raise exception 'listenql: the log is not whole' using errcode = 'LQ005';
  exception when sqlstate 'LQ005' then null;
  end;
  perform listenql.begin_history();
end $$;

create or replace function listenql.newest(out n bigint, out token bigint) language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  perform listenql.provide_history();
  select b.n, b.token into newest.n, newest.token from listenql.batch b order by b.n desc limit 1;
end $$;

-- As before, but where the state of the log is missing it says so.
create or replace function listenql.cut_batch(even_empty boolean default false) returns text language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare prev record; something boolean; ours boolean;
begin
  if current_setting('synchronous_commit') = 'off' then    -- what is handed on must not be forgotten in a crash
    perform set_config('synchronous_commit', 'on', true);
  end if;
  select b.n, b.snapshot into prev from listenql.history h
    cross join lateral (select q.n, q.snapshot from listenql.batch q order by q.n desc limit 1) b where h.database <> 0;
  if not found then
    raise exception 'CURSOR_INVALID' using errcode = 'LQ001', hint = 'The log was restored or loaded without its state: a new history begins.';
  end if;
  with fresh as materialized (
    select coalesce(array_agg(done.xid order by done.last), case when even_empty then '{}'::xid8[] end) as xids
    from (
      select e.xid, e.last
      from (select x as lo, lead(x) over (order by x) as hi from (
              select (pg_snapshot_xmax(prev.snapshot)::text::bigint - 1)::text::xid8 as x
              union select r from pg_snapshot_xip(pg_current_snapshot()) r where r >= pg_snapshot_xmax(prev.snapshot)
              union select pg_snapshot_xmax(pg_current_snapshot())) edges) gap
      cross join lateral (select v.xid, max(v.id) as last from listenql.event v
                          where v.xid > gap.lo and v.xid < gap.hi group by v.xid) e
      where gap.hi is not null
      union all
      select e.xid, e.last
      from (select pg_snapshot_xip(prev.snapshot) as xid except select pg_snapshot_xip(pg_current_snapshot())) ended
      cross join lateral (select v.xid, max(v.id) as last from listenql.event v where v.xid = ended.xid group by v.xid) e
    ) done
  ), made as (
    insert into listenql.batch (n, token, snapshot, xids)
      select prev.n + 1, (random() * 1e15)::bigint, pg_current_snapshot(), f.xids from fresh f where f.xids is not null
      on conflict (n) do nothing returning 1
  )
  select f.xids is not null, exists (select from made) into something, ours from fresh f;
  return case when ours then 'made' when something then 'lost' else 'nothing' end;
end $$;

create or replace function listenql.log_bytes() returns bigint language sql volatile set search_path = pg_catalog, pg_temp as $$
  select coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint from pg_inherits i where i.inhparent = 'listenql.event'::regclass $$;

-- As before, also where the state of the log is missing: then there is no position.
create or replace function listenql.status(out version int, out position_n bigint, out position_token bigint, out position_at timestamptz,
    out horizon bigint, out oldest timestamptz, out bytes bigint, out batches bigint, out watched int, out bell_armed boolean,
    out pending bigint, out pending_since timestamptz)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare seen pg_snapshot;
begin
  version := listenql.schema_version();
  select b.n, b.token, b.at, b.snapshot into position_n, position_token, position_at, seen from listenql.batch b order by b.n desc limit 1;
  select h.horizon, position_n - h.horizon into status.horizon, batches from listenql.history h;
  select e.at into oldest from listenql.event e order by e.xid, e.statement, e.id limit 1;
  select count(*), min(q.at) into pending, pending_since from (
    select e.at from listenql.event e where e.xid >= pg_snapshot_xmax(seen)
    union all
    select e.at from pg_snapshot_xip(seen) x join listenql.event e on e.xid = x
    limit 10001) q;
  bytes := listenql.log_bytes();
  select count(*) into watched from listenql.watched;
  bell_armed := pg_sequence_last_value('listenql.armed') > pg_sequence_last_value('listenql.cleared')
    and pg_sequence_last_value('listenql.lease') > extract(epoch from clock_timestamp());
end $$;


-- The state that a look at the catalogue leaves behind, to compare the next one with.
alter table listenql.watched_table
  add columns jsonb,                                       -- null: not looked at yet, see columns_now()
  add files text,                                          -- see look_at()
  add column_from jsonb not null default '{}';             -- by column: the generation since which its values mean what they do

-- It holds a row until a crash, which empties unlogged tables. After that, one of the watched tables that was rewritten since
-- the last look may have been unlogged meanwhile, and have been emptied.
create unlogged table listenql.uptime (since timestamptz not null default clock_timestamp());
insert into listenql.uptime default values;

-- As before, with `column_from`. A table that has another name since the last look has no history under that.
create or replace view listenql.watched as
  select w.relid::oid as relid, s.nspname::text as schema_name, c.relname::text as table_name, w.generation, w.whole_from,
    w.key_columns, w.always, case when n.is_same then w.since_n end as since_n, case when n.is_same then w.since_token end as since_token,
    case when n.is_same then w.since end as since, w.watched_at, w.column_from
  from listenql.watched_table w join pg_class c on c.oid = w.relid::oid join pg_namespace s on s.oid = c.relnamespace
  cross join lateral (select (w.schema_name, w.table_name) = (s.nspname::text, c.relname::text) as is_same) n;

-- As before, without partitions that DETACH CONCURRENTLY is about to take away: what is written to them is not the root's any more.
create or replace function listenql.members(root oid) returns setof oid language sql volatile set search_path = pg_catalog, pg_temp as $$
  with recursive tree(relid) as (select root union select i.inhrelid from pg_inherits i join tree t on t.relid = i.inhparent
    where to_jsonb(i) ->> 'inhdetachpending' is distinct from 'true')
  select t.relid from tree t join pg_class c on c.oid = t.relid order by t.relid $$;

-- The topmost tables of which a table is a partition or a child.
create function listenql.roots(target oid) returns setof oid language sql volatile set search_path = pg_catalog, pg_temp as $$
  with recursive up(relid) as (select i.inhparent from pg_inherits i
      where i.inhrelid = target and to_jsonb(i) ->> 'inhdetachpending' is distinct from 'true'
    union select i.inhparent from pg_inherits i join up u on i.inhrelid = u.relid)
  select u.relid from up u where not exists (select from pg_inherits i where i.inhrelid = u.relid) order by 1 $$;

-- Why a watched table cannot have a whole history, whatever its triggers do; null: nothing is in the way. The triggers of a
-- table can log for one watched table only: of several that it belongs to, the one that was watched first.
create function listenql.obstacle(root oid, parts oid[]) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare found text;
begin
  if exists (select from pg_inherits i where i.inhrelid = root) then
    select format('it is a part of %s now, and what is written through that is not logged; watch %1$s, and unwatch this one',
      string_agg(r::regclass::text, ' and ' order by r)) into found from listenql.roots(root) r having count(*) > 0;
    if found is not null then return found; end if;
  end if;
  select format('%s is unlogged: a crash would empty it, and nothing would tell; alter table %1$s set logged', c.oid::regclass) into found
    from pg_class c where c.oid = any (parts) and c.relpersistence <> 'p' and c.relkind = 'r' order by c.oid limit 1;
  if found is null and exists (select from pg_inherits i where i.inhrelid = any (parts) and i.inhseqno > 1) then
    select format('%s belongs to %s as well, which was watched before; unwatch one of the two', m::regclass, o.relid) into found
      from listenql.watched_table w join listenql.watched_table o on (o.watched_at, o.relid::oid) < (w.watched_at, w.relid::oid)
      join listenql.members(o.relid) m on m = any (parts) where w.relid = root limit 1;
  end if;
  return found;
end $$;

-- A type and all types that its values are made of: the base of a domain, items, fields.
create function listenql.parts_of(type oid) returns setof oid language sql volatile set search_path = pg_catalog, pg_temp as $$
  with recursive part(oid) as (
    select type union
    select n.oid from part p join pg_type t on t.oid = p.oid and t.oid >= 16384 cross join lateral (
      select t.typbasetype where t.typtype = 'd'
      union all select t.typelem where t.typcategory = 'A'
      union all select r.rngsubtype from pg_range r where t.oid in (r.rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid)
      union all select a.atttypid from pg_attribute a where a.attrelid = t.typrelid and t.typrelid <> 0 and a.attnum > 0 and not a.attisdropped) n(oid)
    where n.oid <> 0)
  select oid from part $$;

-- What the values of a table's columns mean, by column: `is` changes with its type and all that this is made of, its collation, a
-- generated column's expression, and a column that takes the name of another; `at` with every change of the column, which
-- counts if the table was rewritten (ALTER ... TYPE ... USING). Labels of enums are compared one by one: one that is new
-- changes no value.
create function listenql.columns_now(root oid) returns jsonb language sql volatile set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(a.attname, jsonb_build_object('at', a.xmin::text,
    'is', md5(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated,
      case when a.attgenerated <> '' then (
        select concat_ws(' ', d.adbin::text, (select string_agg(p.oid || ' ' || p.xmin, ',' order by p.oid)
          from pg_depend e join pg_proc p on p.oid = e.refobjid
          where e.classid = 'pg_attrdef'::regclass and e.objid = d.oid and e.refclassid = 'pg_proc'::regclass and a.attgenerated::text = 'v'))
        from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum) end,
      case when a.atttypid >= 16384 then (
        select string_agg(concat_ws(' ', t.oid, t.typbasetype, t.typtypmod, t.typcollation, t.typelem,
            (select string_agg(concat_ws(' ', f.attnum, f.attname, f.atttypid, f.atttypmod), ',' order by f.attnum) from pg_attribute f
              where f.attrelid = t.typrelid and t.typrelid <> 0 and f.attnum > 0 and not f.attisdropped)), ';' order by t.oid)
        from listenql.parts_of(a.atttypid) o join pg_type t on t.oid = o) end)),
    'labels', case when a.atttypid >= 16384 then (select jsonb_object_agg(e.oid::text, e.enumlabel::text) from pg_enum e
      where e.enumtypid in (select listenql.parts_of(a.atttypid))) end)), '{}')
  from pg_attribute a where a.attrelid = root and a.attnum > 0 and not a.attisdropped $$;

-- The columns whose values mean something else than before; not those that are new or gone.
create function listenql.changed_columns(before jsonb, now jsonb, rewritten boolean) returns text[] language sql volatile
  set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(n.key order by n.key), '{}') from jsonb_each(now) n join jsonb_each(before) b on b.key = n.key
  where n.value ->> 'is' <> b.value ->> 'is' or (rewritten and n.value ->> 'at' <> b.value ->> 'at')
    or exists (select from jsonb_each_text(nullif(b.value -> 'labels', 'null')) l where n.value -> 'labels' ->> l.key is distinct from l.value) $$;

-- One number that changes with the columns of a table and with the tables below it. Where it is not the number that a
-- table's functions were written for, events carry the next generation: also those of rows that a partition brings which is
-- attached and taken away again before anything looks.
create or replace function listenql.shape(target oid) returns numeric language sql volatile set search_path = pg_catalog, pg_temp as $$
  select (select coalesce(sum(hashtextextended(a.attname::text, (a.attnum::bigint << 48) # (a.atttypid::bigint << 16)
      # (a.atttypmod::bigint * 2 + a.attnotnull::int))), 0) from pg_attribute a
      where a.attrelid = target and a.attnum > 0 and not a.attisdropped)
    + case when exists (select from pg_inherits i where i.inhparent = target) then
      (select sum(hashint8extended(m::bigint, 7)) from listenql.members(target) m) else 0 end $$;

-- What a look at the catalogue finds of a watched table.
-- guard: changes when changes may have been missed: tables that came or went (xmin: or went and came back), what is in the way of
--   a history, and triggers.
-- print: changes with all that makes a new generation: columns, what their values mean, key, foreign keys that cascade, and the above.
-- files: changes when the table, or one below it, is rewritten.
create function listenql.look_at(root oid, out print text, out guard text, out columns jsonb, out files text, out names text[])
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare parts oid[] := array(select listenql.members(root));
begin
  select md5(concat(listenql.obstacle(root, parts), string_agg(concat(m.relid, ':',
      (select string_agg(i.inhparent || ' ' || i.xmin, ',' order by i.inhparent) from pg_inherits i where i.inhrelid = m.relid), ':',
      (select string_agg(t.tgname || t.tgenabled::text || t.xmin::text, ',' order by t.tgname) from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace where t.tgrelid = m.relid)), ';' order by m.relid)))
    into guard from unnest(parts) m(relid);
  -- The files as they were before and after the columns were looked at, or a rewrite in between would have the old columns.
  loop
    select md5(string_agg(c.relfilenode::text, ' ' order by c.oid)) into files from pg_class c where c.oid = any (parts);
    columns := listenql.columns_now(root);
    exit when files is not distinct from (select md5(string_agg(c.relfilenode::text, ' ' order by c.oid)) from pg_class c where c.oid = any (parts));
  end loop;
  select md5(concat(guard, listenql.key_index(root), string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull),
      ',' order by a.attrelid, a.attnum), (select string_agg(concat(c.key, '=', c.value ->> 'is'), ';' order by c.key) from jsonb_each(columns) c),
      -- The functions are written for the foreign keys that write to a table by themselves.
      (select string_agg(m || listenql.cascades(m), ';' order by m) from unnest(parts) m where listenql.cascades(m) <> '')))
    into print from pg_attribute a where a.attrelid = any (parts) and a.attnum > 0 and not a.attisdropped;
  select array[n.nspname::text, c.relname::text] into names from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = root;
end $$;

-- What they were, for whom they are still of use.
create or replace function listenql.guard_print(root oid) returns text language sql volatile set search_path = pg_catalog, pg_temp as
  'select l.guard from listenql.look_at(root) l';
create or replace function listenql.fingerprint(root oid) returns text language sql volatile set search_path = pg_catalog, pg_temp as
  'select l.print from listenql.look_at(root) l';

-- As before, but a function that another table's own triggers call stays, where our rights are enough to drop the triggers alone:
-- a restored table may come with triggers for an oid that another table has here.
create or replace function listenql.drop_stale(member oid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare t record; other oid;
begin
  for t in select g.tgname as name, substring(p.proname from '_(\d+)$')::oid as other from pg_trigger g join pg_proc p on p.oid = g.tgfoid
      where g.tgrelid = member and p.pronamespace = 'listenql'::regnamespace and g.tgparentid = 0
        and p.proname not in ('number_' || member, 'capture_' || member, 'merged_' || member) loop
    other := t.other;
    if exists (select from pg_trigger g join pg_proc p on p.oid = g.tgfoid where g.tgrelid = other
        and p.pronamespace = 'listenql'::regnamespace and p.proname = 'capture_' || other) then
      begin
        execute format('drop trigger if exists %I on %s', t.name, member::regclass);
      exception when insufficient_privilege then
        perform listenql.drop_functions(other);
      end;
    else
      perform listenql.drop_functions(other);
    end if;
  end loop;
end $$;

-- Whether the functions of a table are there.
create function listenql.has_functions(root oid, member oid) returns boolean language sql volatile set search_path = pg_catalog, pg_temp as $$
  select num_nulls(to_regprocedure(format('listenql.capture_%s()', member)), to_regprocedure(format('listenql.number_%s()', member))) = 0
    and (listenql.merge_triggers(member) = 0 or to_regprocedure(format('listenql.merged_%s()', root)) is not null) $$;

-- As before, with the function for MERGE. The row triggers of partitions go with that of their root.
create or replace function listenql.silence(target regclass) returns setof text language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare m oid; f text;
begin
  if not listenql.forget(target) then
    raise exception 'listenql: % is not watched', target using errcode = 'LQ004';
  end if;
  for m in select listenql.members(target) loop
    foreach f in array array['number_', 'capture_', 'merged_'] loop
      continue when to_regprocedure(format('listenql.%I()', f || m)) is null;
      execute format('create or replace function listenql.%I() returns trigger language plpgsql
        set search_path = pg_catalog, pg_temp as %L', f || m, 'begin return null; end');
    end loop;
    return query select format('drop trigger if exists %I on %s;', t.tgname, m::regclass) from pg_trigger t
      join pg_proc p on p.oid = t.tgfoid where t.tgrelid = m and p.pronamespace = 'listenql'::regnamespace and t.tgparentid = 0
      order by t.tgname;
  end loop;
end $$;

-- As before, but a partition or a child is refused, and so is a table that shares a child with one that is watched.
create or replace function listenql.enroll(target regclass, always boolean, by text) returns setof oid language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare m record; g int; c record; fresh boolean; above text;
begin
  select k.relkind, k.relpersistence, k.relowner, k.relname, n.nspname into c from pg_class k
    join pg_namespace n on n.oid = k.relnamespace where k.oid = target;
  if c.nspname in ('pg_catalog', 'information_schema', 'listenql', 'pg_toast') then
    raise exception 'listenql: % belongs to the system', target using errcode = 'LQ004';
  end if;
  select string_agg(r::regclass::text, ' and ' order by r) into above from listenql.roots(target) r;
  if above is not null then
    raise exception 'listenql: % is a part of %, and what is written through that is not logged with the part', target, above
      using errcode = 'LQ004', hint = format('Watch %s instead: all its parts come with it, also those that are made later.', above);
  end if;
  for m in select k.oid, k.relkind, k.relpersistence from listenql.members(target) t join pg_class k on k.oid = t loop
    if m.relkind not in ('r', 'p') then
      raise exception 'listenql: % is no table', m.oid::regclass using errcode = 'LQ004', hint = 'Views and foreign tables cannot be watched.';
    elsif m.relpersistence <> 'p' then
      raise exception 'listenql: % is temporary or unlogged', m.oid::regclass using errcode = 'LQ004',
        hint = 'Its rows vanish in a crash and nothing would tell.';
    end if;
  end loop;
  perform listenql.provide_history();
  perform from listenql.history for update; -- one at a time
  for m in select w.relid from listenql.watched_table w where w.relid <> target
      and (target in (select listenql.members(w.relid)) or w.relid in (select listenql.members(target))
        or (exists (select from pg_inherits where inhseqno > 1)
          and exists (select listenql.members(w.relid) intersect select listenql.members(target)))) loop
    raise exception 'listenql: % is watched already, together with %', target, m.relid using errcode = 'LQ004',
      hint = format('Watch one of the two; select listenql.unwatch(%L) first.', m.relid);
  end loop;
  -- refresh() may be about to put this table in the place of one of its name that was dropped: the next query sees what it did.
  perform from listenql.watched_table w where w.schema_name = c.nspname and w.table_name = c.relname for update;
  select w.generation into g from listenql.watched_table w where w.relid = target;
  fresh := g is null;
  if fresh then
    with former as ( -- of the same name, and dropped since
      delete from listenql.watched_table w where w.schema_name = c.nspname and w.table_name = c.relname
        and not exists (select from pg_class k where k.oid = w.relid) returning w.generation)
    select 1 + greatest(h.generation, (select max(f.generation) from former f)) into g from listenql.history h;
    insert into listenql.watched_table (relid, generation, whole_from, always, owner, schema_name, table_name, key_columns)
      values (target, g, g, enroll.always, c.relowner, c.nspname, c.relname, listenql.key_columns(target));
  else
    update listenql.watched_table w set always = enroll.always where w.relid = target and w.always <> enroll.always;
  end if;
  for m in select t as oid from listenql.members(target) t loop
    if fresh then
      -- Triggers that were silenced: transactions that have written since, and are still open, have logged nothing. To make them anew waits.
      perform listenql.drop_functions(m.oid);
    end if;
    perform listenql.drop_stale(m.oid);
    if not listenql.has_functions(target, m.oid) then
      perform listenql.write_functions(target, m.oid, g);
    end if;
    if by <> current_user then -- the role that creates the triggers; as functions they cannot be called
      execute format('grant execute on function listenql.%I(), listenql.%I() to %I', 'number_' || m.oid, 'capture_' || m.oid, by);
      if to_regprocedure(format('listenql.merged_%s()', m.oid)) is not null then
        execute format('grant execute on function listenql.%I() to %I', 'merged_' || m.oid, by);
      end if;
    end if;
    return next m.oid;
  end loop;
end $$;

-- As before, and:
-- - another table under a name, or another name of a table, is another history;
-- - so is a table whose columns' values mean something else than before; `column_from` says which columns they are ('': the key);
-- - a table that has become a part of another one, or is unlogged, has no history;
-- - after a crash, one that was rewritten since the last look may have been emptied.
create or replace function listenql.refresh(seen_relid oid default null, seen_generation int default null)
  returns table (relid oid, schema_name text, table_name text, change text, detail text) language plpgsql security definer
  set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' as $$
#variable_conflict use_column
declare
  w record; l record; m oid; fresh oid; guard text; changed text[]; obstacle text;
  hole boolean; bump boolean; seen boolean; moved boolean; wiped boolean; whole boolean; why text; g int;
  crashed boolean; due boolean := false; skipped boolean := false;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'listenql: refresh needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  perform listenql.provide_history();
  crashed := not exists (select from listenql.uptime);
  for w in select t.* from listenql.watched_table t order by t.relid loop
    if not exists (select from pg_class c where c.oid = w.relid) then
      -- Dropped. One of the same name and owner takes its place.
      select c.oid into fresh from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = w.schema_name and c.relname = w.table_name and c.relowner = w.owner and c.relkind in ('r', 'p');
      perform from listenql.watched_table t where t.relid = w.relid for update skip locked;
      continue when not found;
      perform listenql.drop_functions(w.relid);
      if fresh is null then
        if w.since_n is not null then
          update listenql.watched_table t set since_n = null, since_token = null, since = null where t.relid = w.relid;
          return query select w.relid::oid, w.schema_name, w.table_name, 'gone'::text, 'the table was dropped'::text;
        end if;
        continue;
      end if;
      if exists (select from listenql.watched_table t where t.relid = fresh) then
        delete from listenql.watched_table t where t.relid = w.relid;
        continue;
      end if;
      update listenql.watched_table t set relid = fresh, generation = t.generation + 1, whole_from = t.generation + 1, fingerprint = null,
        columns = null, files = null, column_from = '{}', since_n = null, since_token = null, since = null where t.relid = w.relid;
      return query select fresh, w.schema_name, w.table_name, 'again'::text, 'the table was made again'::text;
      select t.* into w from listenql.watched_table t where t.relid = fresh;
    end if;
    select * into l from listenql.look_at(w.relid);
    continue when w.since_n is not null and w.fingerprint = l.print and w.columns = l.columns and w.files is not distinct from l.files
      and l.names = array[w.schema_name, w.table_name] and not coalesce(w.relid = seen_relid and w.generation < seen_generation, false);
    perform from listenql.watched_table t where t.relid = w.relid for update skip locked;
    if not found then                                      -- another server is at it
      skipped := true;
      continue;
    end if;
    select t.* into w from listenql.watched_table t where t.relid = w.relid;
    bump := false;
    loop -- until the catalogue is the same after the work as before it: ALTER TABLE may come in between
      select * into l from listenql.look_at(w.relid);
      seen := coalesce(w.relid = seen_relid and w.generation < seen_generation, false);
      moved := l.names <> array[w.schema_name, w.table_name];
      wiped := crashed and coalesce(w.files <> l.files, false);
      changed := '{}';
      if w.columns is not null then
        changed := listenql.changed_columns(w.columns, l.columns, w.files is distinct from l.files);
        if listenql.key_columns(w.relid) <> w.key_columns then changed := changed || ''::text; end if;
      end if;
      bump := bump or seen or moved or wiped or cardinality(changed) > 0
        or coalesce(w.fingerprint <> l.print, w.since_n is not null); -- null: an upgrade found that its history has holes
      exit when not bump and w.since_n is not null;        -- at most a rewrite that changed nothing
      g := case when bump then greatest(w.generation + 1, case when w.relid = seen_relid then seen_generation end) else w.generation end;
      -- Columns alone change without a gap. A generation that an event carried, with nothing to see here, is TRUNCATE of a partition,
      -- or a partition that came and went.
      hole := bump and (w.guard_print is distinct from l.guard or moved or wiped
        or (seen and cardinality(changed) = 0 and w.fingerprint is not distinct from l.print));
      obstacle := listenql.obstacle(w.relid, array(select listenql.members(w.relid)));
      whole := obstacle is null;
      why := obstacle;
      for m in select t from listenql.members(w.relid) t where obstacle is null loop
        if bump or w.fingerprint is null or not listenql.has_functions(w.relid, m) then
          perform listenql.write_functions(w.relid, m, g);
        end if;
        if not listenql.is_armed(m, w.always) then
          begin
            perform listenql.drop_stale(m);
            perform listenql.create_triggers(m, w.always);
          exception when others then why := sqlerrm;
          end;
          if not listenql.is_armed(m, w.always) then
            whole := false;
            why := format('%s: %s', m::regclass, coalesce(why, 'a trigger is disabled'));
          end if;
        end if;
      end loop;
      guard := listenql.guard_print(w.relid);
      exit when listenql.fingerprint(w.relid) = l.print;
    end loop;
    if not bump and w.since_n is not null then
      update listenql.watched_table t set columns = l.columns, files = l.files where t.relid = w.relid;
      continue;
    end if;
    -- A table that left the tree still has our triggers, which would log it as part of the whole.
    for m in select t.tgrelid from pg_trigger t join pg_proc p on p.oid = t.tgfoid where p.pronamespace = 'listenql'::regnamespace
        and p.proname = 'capture_' || t.tgrelid and p.prosrc like '%''' || w.relid::oid || '''%'
        and t.tgrelid not in (select listenql.members(w.relid)) group by t.tgrelid loop
      begin
        perform listenql.drop_functions(m);
      exception when others then whole := false; why := format('%s: %s', m::regclass, sqlerrm);
      end;
    end loop;
    if bump or w.since_n is not null
        or (w.fingerprint, w.guard_print, w.columns, w.files) is distinct from (l.print, guard, l.columns, l.files) then
      update listenql.watched_table t set generation = g, fingerprint = l.print, guard_print = guard, columns = l.columns, files = l.files,
        whole_from = case when hole or w.since_n is null then g else w.whole_from end,
        column_from = case when hole or w.since_n is null then '{}'
          else w.column_from || coalesce((select jsonb_object_agg(k, g) from unnest(changed) k), '{}') end,
        key_columns = listenql.key_columns(w.relid), since_n = null, since_token = null, since = null,
        schema_name = n.nspname, table_name = c.relname, owner = c.relowner
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where t.relid = w.relid and c.oid = w.relid; -- it may be gone by now
    end if;
    if bump or (whole and w.since_n is null) then
      return query select w.relid::oid, l.names[1], l.names[2], 'generation'::text, g::text;
    end if;
    if whole then due := true; else
      return query select w.relid::oid, l.names[1], l.names[2], 'lacking'::text, why;
    end if;
  end loop;
  -- The new histories begin at the end of a batch whose snapshot is taken only now: it holds all that was logged before,
  -- and no client can have been given it before the gap. Last, since others that cut wait until this is committed.
  if due then
    for m in select distinct substring(p.proname from '_(\d+)$')::oid from pg_proc p -- of tables that were dropped
        where p.pronamespace = 'listenql'::regnamespace and p.proname ~ '^(number|capture|merged)_\d+$'
          and not exists (select from pg_class c where c.oid = substring(p.proname from '_(\d+)$')::oid) loop
      perform listenql.drop_functions(m);
    end loop;
    while listenql.cut_batch(true) = 'lost' loop end loop;
    update listenql.watched_table t set (since_n, since_token) = (select b.n, b.token from listenql.batch b order by b.n desc limit 1),
      since = clock_timestamp()
      where t.since_n is null and t.fingerprint is not null and exists (select from pg_class c where c.oid = t.relid)
        and (select bool_and(listenql.is_armed(k, t.always)) from listenql.members(t.relid) k) and listenql.obstacle(t.relid, array(select listenql.members(t.relid))) is null;
  end if;
  if crashed and not skipped then insert into listenql.uptime default values; end if;
end $$;

-- The installed functions of tables with parts are made for another number than shape() gives now. Those of tables that have
-- changed since the last look, or that cannot have a history, are left to the next one, which begins a new generation.
do $$
declare w record; l record; m oid;
begin
  for w in select * from listenql.upgrade u where listenql.obstacle(u.relid, array(select listenql.members(u.relid))) is null loop
    select * into l from listenql.look_at(w.relid);
    for m in select listenql.members(w.relid) loop
      if to_regprocedure(format('listenql.capture_%s()', m)) is not null then
        perform listenql.write_functions(w.relid, m, w.generation);
      end if;
    end loop;
    update listenql.watched_table t set fingerprint = l.print, guard_print = l.guard, columns = l.columns, files = l.files
      where t.relid = w.relid;
  end loop;
end $$;
drop table listenql.upgrade;

revoke all on table listenql.uptime from public;
revoke all on function listenql.schema_version(), listenql.note_load(), listenql.provide_parts(), listenql.is_whole(), listenql.provide_history(), listenql.adopt(),
  listenql.roots(oid), listenql.obstacle(oid, oid[]), listenql.parts_of(oid), listenql.columns_now(oid),
  listenql.changed_columns(jsonb, jsonb, boolean), listenql.look_at(oid), listenql.has_functions(oid, oid) from public;
select listenql.provide_parts();
