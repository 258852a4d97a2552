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
  insert into listenql.trouble as t (subject, place, reason, stalled)
    values (left(note_trouble.subject, 300), left(note_trouble.place, 300), left(note_trouble.reason, 1000), note_trouble.stalled)
    on conflict on constraint trouble_pkey do update set place = excluded.place, reason = excluded.reason,
      stalled = excluded.stalled, at = clock_timestamp();
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
