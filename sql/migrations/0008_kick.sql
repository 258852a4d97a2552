-- Kicks: whoever's token says so is not served any more. Who may kick is a GRANT EXECUTE (and USAGE on the schema).

create table listenql.kick (
  id    bigint generated always as identity primary key,
  xid   xid8 not null default pg_current_xact_id(),
  claim text not null,
  value text not null,
  at    timestamptz not null default clock_timestamp());   -- tokens issued before are not good any more
create index kick_order on listenql.kick (xid);
create index kick_age on listenql.kick (at);

-- Ends what is open with tokens in which this claim has this value, on all servers, and refuses those tokens from now on.
-- The row is what counts; the notification only saves servers a second.
create function listenql.kick(claim text, value text) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(claim, '') = '' or coalesce(value, '') = '' then
    raise exception 'listenql: kick takes a claim and its value' using errcode = 'invalid_parameter_value';
  end if;
  insert into listenql.kick (claim, value) values (claim, value);
  if pg_notification_queue_usage() < 0.5 then perform pg_notify('listenql_kick', ''); end if;
end $$;

-- The kicks that may have become visible since a position, and the position to ask from next: whatever is in progress now
-- has no smaller xid. The first call gives null and gets all. A position of another history (ahead of this one) gets all, too.
create function listenql.kicks(since xid8, out upto xid8, out kicks json) language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  upto := pg_snapshot_xmin(pg_current_snapshot());
  if since > upto then since := null; end if;
  select json_agg(json_build_object('claim', k.claim, 'value', k.value, 'at', floor(extract(epoch from k.at) * 1000)))
    into kicks from listenql.kick k where since is null or k.xid >= since;
end $$;

create function listenql.prune_kicks(max_age interval) returns bigint language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare n bigint;
begin
  delete from listenql.kick k where k.at < clock_timestamp() - max_age;
  get diagnostics n = row_count;
  return n;
end $$;

revoke all on table listenql.kick from public;
revoke all on function listenql.kick(text, text), listenql.kicks(xid8), listenql.prune_kicks(interval) from public;
