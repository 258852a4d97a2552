-- Kicks do not depend on clocks that differ: the clock of the issuer of tokens, and the moment at which a kick is committed.
--
-- A token whose iat lies ahead of this database's clock would count as issued after a kick. Servers remember such tokens when
-- they accept them. A server that reads a new kick writes the fingerprints of those that the kick is meant for into its row,
-- so that the other servers, and servers that start later, refuse them too.

-- Fingerprints of tokens that a server had accepted before it read the kick, though their iat is later.
alter table listenql.kick add column tokens text[];

-- A kick takes effect when it becomes visible: its moment is that of the commit, or tokens that were issued from what the same
-- transaction is about to change would count as issued after the kick. Rows that a dump brings along have another xid.
-- Where the trigger is missing or disabled, the moment of the call counts.
create function listenql.time_kick() returns trigger language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  update listenql.kick k set at = clock_timestamp() where k.id = new.id;
  return null;
end $$;
create constraint trigger kick_time after insert on listenql.kick deferrable initially deferred for each row
  when (new.xid = pg_catalog.pg_current_xact_id()) execute function listenql.time_kick();

-- As in 0008, with the id and the fingerprints. Milliseconds are rounded up: a token of the very second of a kick is refused.
create or replace function listenql.kicks(since xid8, out upto xid8, out kicks json) language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  upto := pg_snapshot_xmin(pg_current_snapshot());
  if since > upto then since := null; end if;
  select json_agg(json_build_object('id', k.id::text, 'claim', k.claim, 'value', k.value,
      'at', ceil(extract(epoch from k.at) * 1000), 'tokens', coalesce(k.tokens, '{}')))
    into kicks from listenql.kick k where since is null or k.xid >= since;
end $$;

-- Adds fingerprints to a kick. The new xid makes all servers read the row again.
create function listenql.extend_kick(of_kick bigint, more text[]) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  update listenql.kick k set xid = pg_current_xact_id(),
    tokens = (select array_agg(distinct t) from unnest(k.tokens || more) t)
    where k.id = of_kick and (k.tokens @> more) is not true;
  if found and pg_notification_queue_usage() < 0.5 then perform pg_notify('listenql_kick', ''); end if;
end $$;

revoke all on function listenql.time_kick(), listenql.extend_kick(bigint, text[]) from public;

-- Logins that read kicks are logins of servers.
do $$
declare login name;
begin
  for login in select r.rolname from pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a, pg_catalog.pg_roles r
      where p.oid = 'listenql.kicks(xid8)'::pg_catalog.regprocedure and r.oid = a.grantee and r.oid <> p.proowner loop
    execute pg_catalog.format('grant execute on function listenql.extend_kick(bigint, text[]) to %I', login);
  end loop;
end $$;
