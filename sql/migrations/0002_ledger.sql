-- Reading. A position is (n, token, ord, statement, id): batch, its token, place of the transaction in it, statement and id
-- of the event. The end of a batch is ord 2147483647.

-- Writes batch n+1 if something has become visible since batch n. Of the log it touches nothing that is in flight: the scan
-- goes between the running transactions, or a bulk load that is still open would be walked at every poll. No lock: the loser
-- of a race for n+1 waits for the winner and inserts nothing (under REPEATABLE READ: fails with 40001).
-- Returns made, nothing, or lost. With `even_empty` a batch is made in any case.
create function listenql.cut_batch(even_empty boolean default false) returns text language plpgsql
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare prev record; something boolean; ours boolean;
begin
  if current_setting('synchronous_commit') = 'off' then    -- what is handed on must not be forgotten in a crash
    perform set_config('synchronous_commit', 'on', true);
  end if;
  select b.n, b.snapshot into prev from listenql.batch b order by b.n desc limit 1;
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

-- Events after a position: at most max_rows of them, and no more once their images exceed 4 MiB (but one at least). So a
-- page shorter than max_rows is only known to be the last if its images are below that, or if it is empty.
-- LQ001: a position that is not in this history. LQ002: one that retention has passed.
create function listenql.read(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer
  set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  b record; d listenql.delivery; known bigint; behind bigint; since int; inside boolean;
  rows_left int := max_rows; bytes_left bigint := 4194304;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'listenql: reading the log needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  select q.token into known from listenql.batch q where q.n = after_n;
  if known = after_token then
    <<page>>
    for b in select q.n, q.token from listenql.batch q where q.n >= after_n order by q.n loop
      inside := b.n = after_n;
      continue when inside and after_ord = 2147483647;
      since := case when inside then greatest(after_ord, 1) else 1 end;
      -- In order without ORDER BY, which would read all before the first row: a lateral LIMIT is always a nested loop. Each
      -- transaction has an event at least, so a page needs no more transactions than it has rows, and the one it is in.
      for d in
        select b.n, b.token, (x.i + since - 1)::int, e.statement, e.id, e.xid::text, e.at, e.kind, e.topic, e.generation,
          e.operation, e.old, e.new
        from listenql.batch q
        cross join lateral unnest(q.xids[since:since + rows_left]) with ordinality x(xid, i)
        cross join lateral (select v.* from listenql.event v where v.xid = x.xid and (v.statement, v.id) >
            (case when inside and x.i + since - 1 = after_ord then after_statement else -1 end,
             case when inside and x.i + since - 1 = after_ord then after_id else 0 end)
          order by v.statement, v.id limit rows_left) e
        where q.n = b.n
      loop
        return next d;
        rows_left := rows_left - 1;
        bytes_left := bytes_left - coalesce(octet_length(d.old), 0) - coalesce(octet_length(d.new), 0);
        exit page when rows_left <= 0 or bytes_left <= 0;
      end loop;
    end loop;
  end if;
  -- TRUNCATE is not MVCC-safe. A statement of its own, after the page, sees whether the horizon has passed.
  select h.horizon into behind from listenql.history h;
  if after_n < behind or (after_n = behind and after_ord <> 2147483647) then
    raise exception 'CURSOR_EXPIRED' using errcode = 'LQ002', hint = 'The log does not reach back that far: read a snapshot again.';
  end if;
  if known is distinct from after_token then
    raise exception 'CURSOR_INVALID' using errcode = 'LQ001', hint = 'That history was lost or never was: read a snapshot again.';
  end if;
end $$;

-- One poll: a batch if there is something for one, then a page. Rows count only once the call has committed.
create function listenql.pull(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare outcome text;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'listenql: reading the log needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  outcome := listenql.cut_batch();
  return query select * from listenql.read(after_n, after_token, after_ord, after_statement, after_id, max_rows);
end $$;

-- Everything logged before was logged elsewhere: with other transaction ids, maybe for other tables.
create function listenql.begin_history() returns void language plpgsql set search_path = pg_catalog, pg_temp
  set lock_timeout = '5s' as $$
declare newest bigint;
begin
  perform from listenql.history for update;
  truncate listenql.event;
  select max(n) into newest from listenql.batch;
  insert into listenql.batch (n, token, snapshot, xids) values (newest + 1, (random() * 1e15)::bigint, pg_current_snapshot(), '{}');
  delete from listenql.batch where n <= newest;
  update listenql.history set horizon = newest + 1,
    system_identifier = (select c.system_identifier from pg_control_system() c),
    database = (select d.oid from pg_database d where d.datname = current_database());
end $$;

-- Where a new subscriber, or a server that starts, begins. To be called once on each new connection: it notices a history
-- that came from elsewhere.
create function listenql.newest(out n bigint, out token bigint) language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from listenql.history h, pg_control_system() c, pg_database d
      where d.datname = current_database() and h.database = d.oid and h.system_identifier = c.system_identifier) then
    perform listenql.begin_history();
  end if;
  select b.n, b.token into newest.n, newest.token from listenql.batch b order by b.n desc limit 1;
end $$;

-- The position of the caller's own snapshot, for reading tables under it: REPEATABLE READ. It counts once committed, so
-- export the snapshot, import it elsewhere, commit this, and only then hand on the position. 40001: again.
create function listenql.cut(out n bigint, out token bigint) language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('transaction_isolation') not in ('repeatable read', 'serializable') then
    raise exception 'listenql.cut() needs REPEATABLE READ' using errcode = 'LQ003';
  end if;
  perform listenql.cut_batch();
  select b.n, b.token into cut.n, cut.token from listenql.batch b order by b.n desc limit 1;
end $$;
