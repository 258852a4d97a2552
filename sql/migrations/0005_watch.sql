-- Which tables are watched, and since when without a gap.
create table listenql.watched_table (
  relid       regclass primary key,                        -- regclass, so that a restored dump finds the table by name
  generation  int not null,
  always      boolean not null,                            -- triggers fire under session_replication_role = replica too
  owner       oid not null,
  schema_name text not null,
  table_name  text not null,
  key_columns text[] not null,
  fingerprint text,                                        -- null: not looked at yet
  guard_print text,                                        -- the part of it that shows whether changes may have been missed
  whole_from  int not null,                                -- generation since which none has been
  since_n     bigint,                                      -- null: not whole (being set up, a trigger is disabled)
  since_token bigint,
  since       timestamptz,
  watched_at  timestamptz not null default now());

-- For the server, which looks here about every second. The history of a table begins at the end of batch since_n: positions
-- before it have expired for it, whatever the log still holds; if it is null, it has none at the moment. Who has followed
-- it since generation whole_from has missed nothing: later ones only changed its columns.
create view listenql.watched as
  select w.relid::oid as relid, s.nspname::text as schema_name, c.relname::text as table_name, w.generation, w.whole_from,
    w.key_columns, w.always, w.since_n, w.since_token, w.since, w.watched_at
  from listenql.watched_table w join pg_class c on c.oid = w.relid::oid join pg_namespace s on s.oid = c.relnamespace;

-- The table itself and all below it, partitions or children.
create function listenql.members(root oid) returns setof oid language sql volatile set search_path = pg_catalog, pg_temp as $$
  with recursive tree(relid) as (select root union select i.inhrelid from pg_inherits i join tree t on t.relid = i.inhparent)
  select t.relid from tree t join pg_class c on c.oid = t.relid order by t.relid $$;

-- One text that changes with all that makes a new generation: columns, key, partitions, and whoever touches our triggers
-- (xmin: a DISABLE and ENABLE between two looks leaves a new version of the row).
create function listenql.fingerprint(root oid) returns text language sql volatile set search_path = pg_catalog, pg_temp as $$
  select md5(string_agg(m.relid || ':' || listenql.shape(m.relid)::text
    || coalesce((select string_agg(t.tgname || t.tgenabled::text || t.xmin::text, ',' order by t.tgname) from pg_trigger t
         join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace where t.tgrelid = m.relid), '-')
    || coalesce((select string_agg(md5(d.adbin::text), ',' order by d.adnum) from pg_attrdef d join pg_attribute a
         on a.attrelid = d.adrelid and a.attnum = d.adnum where d.adrelid = m.relid and to_jsonb(a) ->> 'attgenerated' = 'v'), ''), ';' order by m.relid)
    || coalesce(listenql.key_index(root)::text, '-'))
  from listenql.members(root) m(relid) $$;

-- The part of a fingerprint that changes when changes may have been missed: tables that came or went, and triggers.
create function listenql.guard_print(root oid) returns text language sql volatile set search_path = pg_catalog, pg_temp as $$
  select md5(string_agg(m.relid || ':' || coalesce((select string_agg(t.tgname || t.tgenabled::text || t.xmin::text, ',' order by t.tgname)
      from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace where t.tgrelid = m.relid), '-'),
    ';' order by m.relid))
  from listenql.members(root) m(relid) $$;

-- Whether all five triggers are on a table, enabled, and call its own functions.
create function listenql.is_armed(member oid, always boolean) returns boolean language sql volatile
  set search_path = pg_catalog, pg_temp as $$
  select count(*) = 5 from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace
  where t.tgrelid = member and p.proname in ('number_' || member, 'capture_' || member)
    and t.tgenabled::text in (case when always then 'A' else 'O' end, 'A') $$;

-- Creates what is missing, as the caller: CREATE TRIGGER needs the right TRIGGER on the table, ALWAYS needs its owner.
create function listenql.create_triggers(member oid, always boolean) returns void language plpgsql
  set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare v record;
begin
  for v in select * from (values
      ('~listenql_number', 'before insert or update or delete or truncate', '', 'number_'),
      ('listenql_insert', 'after insert', 'referencing new table as _lq_new', 'capture_'),
      ('listenql_update', 'after update', 'referencing old table as _lq_old new table as _lq_new', 'capture_'),
      ('listenql_delete', 'after delete', 'referencing old table as _lq_old', 'capture_'),
      ('listenql_truncate', 'after truncate', '', 'capture_')) t(name, event, tables, function)
  loop
    if not exists (select from pg_trigger t where t.tgrelid = member and t.tgname = v.name) then
      execute format('create trigger %I %s on %s %s for each statement execute function listenql.%I()',
        v.name, v.event, member::regclass, v.tables, v.function || member);
    end if;
    if always and exists (select from pg_trigger t where t.tgrelid = member and t.tgname = v.name and t.tgenabled <> 'A') then
      execute format('alter table %s enable always trigger %I', member::regclass, v.name);
    elsif not always and exists (select from pg_trigger t where t.tgrelid = member and t.tgname = v.name and t.tgenabled = 'A') then
      execute format('alter table %s enable trigger %I', member::regclass, v.name);
    end if;
  end loop;
end $$;

create function listenql.drop_functions(member oid) returns void language plpgsql
  set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
begin
  execute format('drop function if exists listenql.%I() cascade', 'number_' || member);
  execute format('drop function if exists listenql.%I() cascade', 'capture_' || member);
end $$;

-- In a restored dump the triggers call functions that are named for the oid that the table had where the dump was made.
create function listenql.drop_stale(member oid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare other oid;
begin
  for other in select distinct substring(p.proname from '_(\d+)$')::oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      where t.tgrelid = member and p.pronamespace = 'listenql'::regnamespace
        and p.proname not in ('number_' || member, 'capture_' || member) loop
    perform listenql.drop_functions(other);
  end loop;
end $$;

-- The part of watch() that is the log's: refuses what cannot be watched, notes the table and writes its functions.
create function listenql.enroll(target regclass, always boolean, by text) returns setof oid language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare m record; g int; c record; fresh boolean;
begin
  select k.relkind, k.relpersistence, k.relowner, k.relname, n.nspname into c from pg_class k
    join pg_namespace n on n.oid = k.relnamespace where k.oid = target;
  if c.nspname in ('pg_catalog', 'information_schema', 'listenql', 'pg_toast') then
    raise exception 'listenql: % belongs to the system', target using errcode = 'LQ004';
  end if;
  for m in select k.oid, k.relkind, k.relpersistence from listenql.members(target) t join pg_class k on k.oid = t loop
    if m.relkind not in ('r', 'p') then
      raise exception 'listenql: % is no table', m.oid::regclass using errcode = 'LQ004', hint = 'Views and foreign tables cannot be watched.';
    elsif m.relpersistence <> 'p' then
      raise exception 'listenql: % is temporary or unlogged', m.oid::regclass using errcode = 'LQ004',
        hint = 'Its rows vanish in a crash and nothing would tell.';
    end if;
  end loop;
  perform from listenql.history for update; -- one at a time
  for m in select w.relid from listenql.watched_table w where w.relid <> target
      and (target in (select listenql.members(w.relid)) or w.relid in (select listenql.members(target))) loop
    raise exception 'listenql: % is watched already, together with %', target, m.relid using errcode = 'LQ004',
      hint = format('Watch one of the two; select listenql.unwatch(%L) first.', m.relid);
  end loop;
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
      -- Triggers that were silenced: who has written since, and is not yet through, has logged nothing. To make them anew waits.
      perform listenql.drop_functions(m.oid);
    end if;
    perform listenql.drop_stale(m.oid);
    if to_regprocedure(format('listenql.capture_%s()', m.oid)) is null or to_regprocedure(format('listenql.number_%s()', m.oid)) is null then
      perform listenql.write_functions(target, m.oid, g);
    end if;
    if by <> current_user then -- who creates the triggers; as functions they cannot be called
      execute format('grant execute on function listenql.%I(), listenql.%I() to %I', 'number_' || m.oid, 'capture_' || m.oid, by);
    end if;
    return next m.oid;
  end loop;
end $$;

-- Watches a table and all below it. Waits for transactions that write to it: set lock_timeout first, and try again.
-- Its history begins with the next refresh(), which the server does about every second.
create function listenql.watch(target regclass, always boolean default false) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare member oid;
begin
  for member in select * from listenql.enroll(target, always, current_user::text) loop
    perform listenql.create_triggers(member, always);
  end loop;
end $$;

-- Takes a table off the list; false: it was not on it.
create function listenql.forget(target regclass) returns boolean language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare g int;
begin
  delete from listenql.watched_table w where w.relid = target returning w.generation into g;
  if g is null then return false; end if;
  update listenql.history h set generation = greatest(h.generation, g + 1);
  return true;
end $$;

-- Removes the triggers by dropping what they call, which needs no right on the table. Waits as watch() does. Of a table that
-- was silenced it removes what is left.
create function listenql.unwatch(target regclass) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare m record;
begin
  if not listenql.forget(target) then
    for m in select w.relid from listenql.watched_table w
        where target in (select listenql.members(w.relid)) or w.relid in (select listenql.members(target)) loop
      raise exception 'listenql: % is not watched itself, but % is', target, m.relid using errcode = 'LQ004',
        hint = format('select listenql.unwatch(%L)', m.relid);
    end loop;
    if not exists (select from listenql.members(target) t where to_regprocedure(format('listenql.capture_%s()', t)) is not null) then
      raise exception 'listenql: % is not watched', target using errcode = 'LQ004';
    end if;
  end if;
  for m in select target::oid as oid union select t from listenql.members(target) t loop -- the first may be gone
    perform listenql.drop_functions(m.oid);
  end loop;
end $$;

-- Where the triggers cannot be dropped (a lock that is never to be had, somebody's event trigger): they stay, and log
-- nothing any more. Returns the statements with which the owner of the table removes them.
create function listenql.silence(target regclass) returns setof text language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare m oid; f text;
begin
  if not listenql.forget(target) then
    raise exception 'listenql: % is not watched', target using errcode = 'LQ004';
  end if;
  for m in select listenql.members(target) loop
    foreach f in array array['number_', 'capture_'] loop
      continue when to_regprocedure(format('listenql.%I()', f || m)) is null;
      execute format('create or replace function listenql.%I() returns trigger language plpgsql
        set search_path = pg_catalog, pg_temp as %L', f || m, 'begin return null; end');
    end loop;
    return query select format('drop trigger if exists %I on %s;', t.tgname, m::regclass) from pg_trigger t
      join pg_proc p on p.oid = t.tgfoid where t.tgrelid = m and p.pronamespace = 'listenql'::regnamespace order by t.tgname;
  end loop;
end $$;

-- Compares the catalogue with what the triggers were made for, and starts a new generation where something has changed:
-- columns, key, partitions, a trigger that was disabled or lost, a table that was dropped and made again. Installs on new
-- partitions. Costs little if nothing has changed. To be called alone, not in a transaction of one's own.
-- seen_*: a generation that an event of the log carried; if it is newer than the known one, that is a change as well.
-- Returns what it did or could not do: change is generation, gone, again, or lacking.
create function listenql.refresh(seen_relid oid default null, seen_generation int default null)
  returns table (relid oid, schema_name text, table_name text, change text, detail text) language plpgsql security definer
  set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' as $$
#variable_conflict use_column
declare w record; m oid; fresh oid; now_print text; guard text; hole boolean; bump boolean; whole boolean; why text; due boolean := false; g int;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'listenql: refresh needs READ COMMITTED' using errcode = 'LQ003';
  end if;
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
        since_n = null, since_token = null, since = null where t.relid = w.relid;
      return query select fresh, w.schema_name, w.table_name, 'again'::text, 'the table was made again'::text;
      select t.* into w from listenql.watched_table t where t.relid = fresh;
    end if;
    now_print := listenql.fingerprint(w.relid);
    bump := w.relid = seen_relid and w.generation < seen_generation;
    continue when w.fingerprint = now_print and w.since_n is not null and bump is not true;
    perform from listenql.watched_table t where t.relid = w.relid for update skip locked;
    continue when not found;                               -- another server is at it
    select t.* into w from listenql.watched_table t where t.relid = w.relid;
    bump := w.relid = seen_relid and w.generation < seen_generation;
    continue when w.fingerprint = now_print and w.since_n is not null and bump is not true;
    loop -- until the catalogue is the same behind the work as before it: ALTER TABLE may come in between
      now_print := listenql.fingerprint(w.relid);
      bump := coalesce(bump, false) or (w.fingerprint is not null and w.fingerprint <> now_print);
      g := case when bump then greatest(w.generation + 1, case when w.relid = seen_relid then seen_generation end) else w.generation end;
      -- Columns alone change without a gap. A generation that an event carried, with nothing to see here, is TRUNCATE of a partition.
      hole := bump and (w.guard_print is distinct from listenql.guard_print(w.relid) or w.fingerprint is not distinct from now_print);
      whole := true; why := null;
      for m in select * from listenql.members(w.relid) loop
        if bump or w.fingerprint is null or to_regprocedure(format('listenql.capture_%s()', m)) is null
            or to_regprocedure(format('listenql.number_%s()', m)) is null then
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
      exit when listenql.fingerprint(w.relid) = now_print;
    end loop;
    -- A table that left the tree still has our triggers, which would log it as part of the whole.
    for m in select t.tgrelid from pg_trigger t join pg_proc p on p.oid = t.tgfoid where p.pronamespace = 'listenql'::regnamespace
        and p.proname = 'capture_' || t.tgrelid and p.prosrc like '%''' || w.relid::oid || '''%'
        and t.tgrelid not in (select listenql.members(w.relid)) group by t.tgrelid loop
      begin
        perform listenql.drop_functions(m);
      exception when others then whole := false; why := format('%s: %s', m::regclass, sqlerrm);
      end;
    end loop;
    update listenql.watched_table t set generation = g, fingerprint = now_print,
      guard_print = guard, whole_from = case when hole or w.since_n is null then g else w.whole_from end,
      key_columns = listenql.key_columns(w.relid), since_n = null, since_token = null, since = null,
      (schema_name, table_name, owner) = (select n.nspname, c.relname, c.relowner from pg_class c
        join pg_namespace n on n.oid = c.relnamespace where c.oid = w.relid)
      where t.relid = w.relid;
    if bump or (whole and w.since_n is null) then
      return query select w.relid::oid, w.schema_name, w.table_name, 'generation'::text, g::text;
    end if;
    if whole then due := true; else
      return query select w.relid::oid, w.schema_name, w.table_name, 'lacking'::text, why;
    end if;
  end loop;
  -- The new histories begin at the end of a batch whose snapshot is taken only now: it holds all that was logged before,
  -- and no client can have been given it before the gap. Last, since others that cut wait until this is committed.
  if due then
    for m in select distinct substring(p.proname from '_(\d+)$')::oid from pg_proc p -- of tables that were dropped
        where p.pronamespace = 'listenql'::regnamespace and p.proname ~ '^(number|capture)_\d+$'
          and not exists (select from pg_class c where c.oid = substring(p.proname from '_(\d+)$')::oid) loop
      perform listenql.drop_functions(m);
    end loop;
    while listenql.cut_batch(true) = 'lost' loop end loop;
    update listenql.watched_table t set (since_n, since_token) = (select b.n, b.token from listenql.batch b order by b.n desc limit 1),
      since = clock_timestamp()
      where t.since_n is null and t.fingerprint is not null and exists (select from pg_class c where c.oid = t.relid)
        and (select bool_and(listenql.is_armed(k, t.always)) from listenql.members(t.relid) k);
  end if;
end $$;
