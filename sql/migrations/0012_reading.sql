-- What operators should know about servers that read the log: where one cannot get on, and of which topics values could not be
-- read. Servers note it, `listenql status` shows it.
--
-- An image may lack values: those that were too large for the log, or that could not be read. They are null in it, and its last
-- member, whose name no column can have, says why: {"id":1,"doc":null,"":{"doc":188743680}}, a size in bytes, or "encoding".

create table listenql.trouble (
  subject text primary key,                                -- which server; or which table or channel, by name
  place   text not null,                                   -- in the log, in words
  reason  text not null,
  stalled boolean not null,                                -- a server reads no further than this
  at      timestamptz not null default clock_timestamp());

-- The last trouble of each subject; of those that were lately in trouble, a thousand.
create function listenql.note_trouble(subject text, place text, reason text, stalled boolean) returns void language plpgsql
  security definer set search_path = pg_catalog, pg_temp as $$
begin
  update listenql.trouble t set place = left(note_trouble.place, 300), reason = left(note_trouble.reason, 1000),
    stalled = note_trouble.stalled, at = clock_timestamp() where t.subject = left(note_trouble.subject, 300);
  if not found then -- names no key: a dump may have left it out
    insert into listenql.trouble (subject, place, reason, stalled)
      values (left(note_trouble.subject, 300), left(note_trouble.place, 300), left(note_trouble.reason, 1000), note_trouble.stalled)
      on conflict do nothing;
  end if;
  delete from listenql.trouble t where t.subject in (select o.subject from listenql.trouble o order by o.at desc offset 1000);
end $$;

create function listenql.forget_trouble(subject text) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from listenql.trouble t where t.subject = left(forget_trouble.subject, 300);
end $$;

-- A server that cannot get on says so again at every attempt; one that has said nothing for a while is gone.
create function listenql.troubles() returns table (subject text, place text, reason text, stalled boolean, at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select t.subject, t.place, t.reason, t.stalled, t.at from listenql.trouble t
  where not t.stalled or t.at > clock_timestamp() - interval '5 minutes' order by t.stalled desc, t.at desc $$;

revoke all on table listenql.trouble from public;
revoke all on function listenql.note_trouble(text, text, text, boolean), listenql.forget_trouble(text), listenql.troubles() from public;

-- The logins of servers note troubles from now on.
do $$
declare login oid;
begin
  for login in select distinct a.grantee from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
      where p.oid = 'listenql.newest()'::pg_catalog.regprocedure and a.privilege_type = 'EXECUTE' and a.grantee not in (0, p.proowner) loop
    execute pg_catalog.format('grant execute on function listenql.note_trouble(text, text, text, boolean), listenql.forget_trouble(text), listenql.troubles() to %s',
      login::pg_catalog.regrole);
  end loop;
end $$;

-- As in 0010, with what is new since.
create or replace function listenql.provide_parts() returns void language plpgsql
  set search_path = pg_catalog, pg_temp set client_min_messages = warning set default_tablespace = '' set default_table_access_method = heap as $$
declare k record; part text;
begin
  for k in select * from (values ('migration', 'version'), ('history', 'only_row'), ('batch', 'n'), ('watched_table', 'relid'), ('kick', 'id'), ('trouble', 'subject')) t(name, key)
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
  if not exists (select from pg_trigger t where t.tgrelid = 'listenql.kick'::regclass and t.tgname = 'kick_time') then
    create constraint trigger kick_time after insert on listenql.kick deferrable initially deferred for each row
      when (new.xid = pg_current_xact_id()) execute function listenql.time_kick();
  end if;
end $$;
