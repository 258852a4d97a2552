-- The log is a ring of four partitions. One is written to; the others go, oldest first, as a whole.

create function listenql.log_bytes() returns bigint language sql volatile set search_path = pg_catalog, pg_temp as $$
  select sum(pg_total_relation_size(format('listenql.event_%s', s)::regclass))::bigint from generate_series(0, 3) s $$;

-- The last batch that holds events of a partition, all of whose transactions (up to `newest`) have ended and are in the
-- ledger. It is not behind the first batch whose xmin is above them, if there is one; xmin never goes back, so a binary
-- search finds that. From there it is few steps back.
create function listenql.last_batch(part text, newest xid8) returns bigint language plpgsql volatile
  set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare lo bigint; hi bigint; middle bigint; found bigint;
begin
  select min(n), max(n) into lo, hi from listenql.batch;
  while lo < hi loop
    middle := (lo + hi) / 2;
    if (select pg_snapshot_xmin(snapshot) > newest from listenql.batch where n = middle) then hi := middle; else lo := middle + 1; end if;
  end loop;
  execute format('select b.n from listenql.batch b where b.n <= $1
    and exists (select from unnest(b.xids) x where exists (select from %s e where e.xid = x)) order by b.n desc limit 1', part)
    into found using hi;
  return found;
end $$;

-- Drops the partitions whose newest batch is older than max_age (and, whatever their age, the oldest ones while the log
-- exceeds max_bytes; `early` counts those), and moves on to the next partition when it is time. To be called every minute or
-- so, alone, not in a transaction of one's own. Never waits for writers, and makes none wait: what is in use stays, and
-- `busy` says so.
create function listenql.rotate(max_age interval, max_bytes bigint default null)
  returns table (dropped int, early int, dropped_bytes bigint, bytes bigint, horizon bigint, busy text) language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_variable
declare
  head bigint; slot int; part text; newest xid8; over xid8; upto bigint; size bigint; total bigint; young boolean; attempt int; opened timestamptz;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'listenql: rotate needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  dropped := 0; early := 0; dropped_bytes := 0;
  select h.horizon, h.slot_opened into horizon, opened from listenql.history h for update skip locked;
  if not found then
    bytes := listenql.log_bytes(); busy := 'another rotation is running';
    return next; return;
  end if;
  over := pg_snapshot_xmin(pg_current_snapshot());         -- all below has ended, and is in the ledger in a moment
  while listenql.cut_batch() = 'lost' loop end loop;
  head := pg_sequence_last_value('listenql.head');
  total := listenql.log_bytes();

  -- Oldest first; with a cap exceeded, the one that is written to is closed and goes as well, when nobody is writing to it.
  -- So first move on, if it is time: the next partition is empty then, or else stays shared for a while.
  size := pg_total_relation_size(format('listenql.event_%s', head & 3)::regclass);
  for attempt in 1..2 loop
    for step in 1..3 loop
      slot := (head + step) & 3;
      part := format('listenql.event_%s', slot);
      execute format('select e.xid from %s e order by e.xid desc limit 1', part) into newest;
      continue when newest is null;
      if over <= newest then
        busy := 'a transaction that may have written to the log is still open';
        continue;
      end if;
      upto := listenql.last_batch(part, newest);
      select b.at > clock_timestamp() - max_age into young from listenql.batch b where b.n = upto;
      continue when young and total > max_bytes is not true;
      begin
        perform set_config('lock_timeout', '30ms', true);
        execute format('lock table %s in access exclusive mode', part);
        -- Somebody who was slow may have written to it meanwhile.
        execute format('select e.xid from %s e order by e.xid desc limit 1', part) into newest;
        if over <= newest then busy := 'somebody has just written to it'; raise lock_not_available; end if;
        upto := listenql.last_batch(part, newest);
        total := total - pg_total_relation_size(part::regclass);
        dropped_bytes := dropped_bytes + pg_total_relation_size(part::regclass);
        execute format('truncate %s', part);
        update listenql.history h set horizon = greatest(h.horizon, upto);
        dropped := dropped + 1;
        if young then early := early + 1; end if;
        horizon := greatest(horizon, upto);
      exception when lock_not_available or deadlock_detected then
        busy := coalesce(busy, 'the oldest events are in use');
      end;
    end loop;
    exit when attempt = 2;
    execute format('select e.xid from listenql.event_%s e limit 1', (head + 1) & 3) into newest;
    exit when newest is not null or ( -- null without a cap
      (opened < clock_timestamp() - max_age / 3 and size > 32768) or size > max_bytes / 4 or total > max_bytes) is not true;
    head := nextval('listenql.head');
    update listenql.history h set slot_opened = clock_timestamp();
    exit when total > max_bytes is not true;
  end loop;

  -- Batches go with their events; the one at the horizon stays, since its end is a good position.
  delete from listenql.batch b where b.n in (select q.n from listenql.batch q where q.n < horizon order by q.n limit 100000);
  bytes := listenql.log_bytes();
  return next;
end $$;

-- Sizes and positions: everything in one row. `pending` are the events that no batch holds yet, counted up to 10001.
create function listenql.status(out version int, out position_n bigint, out position_token bigint, out position_at timestamptz,
    out horizon bigint, out oldest timestamptz, out bytes bigint, out batches bigint, out watched int, out bell_armed boolean,
    out pending bigint, out pending_since timestamptz)
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare seen pg_snapshot;
begin
  select max(m.version) into version from listenql.migration m;
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

revoke all on all functions in schema listenql from public;
revoke all on all tables in schema listenql from public;
