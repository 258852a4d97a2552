-- pull() and read() at less cost. They do what they did in 0002 and 0010, but:
-- - Nothing pins search_path, which had every call look up the schemas again. So every name and operator is written in full, and each
--   name of a type, since the temporary tables of the session come first.
-- - Plans are made once for a session: where those for the values at hand seem cheaper, Postgres would plan at every call. They are
--   those of the index whatever the statistics say, and no step is one that is switched off, whose cost alone would have the statement
--   compiled (jit) at every call.
-- - A page after the newest batch is that batch, which pull() has just made.

-- As in 0002.
create or replace function listenql.read(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan set jit = off as $$
declare
  b pg_catalog.record; d listenql.delivery; known bigint; behind bigint; since int; inside boolean;
  rows_left int := max_rows; bytes_left bigint := 4194304;
begin
  if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
    raise exception 'listenql: reading the log needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  <<page>>
  for b in select q.n, q.token from listenql.batch q where q.n operator(pg_catalog.>=) after_n order by q.n loop
    inside := b.n operator(pg_catalog.=) after_n;
    if inside then known := b.token; end if;
    exit when known operator(pg_catalog.=) after_token is not true;
    continue when inside and after_ord operator(pg_catalog.=) 2147483647;
    since := case when inside and after_ord operator(pg_catalog.>) 1 then after_ord else 1 end;
    -- In order without ORDER BY, which would read all before the first row: a lateral LIMIT is always a nested loop. Each
    -- transaction has an event at least, so a page needs no more transactions than it has rows, and the one it is in.
    for d in
      select b.n, b.token, (x.i operator(pg_catalog.+) since operator(pg_catalog.-) 1)::int, e.statement, e.id, e.xid::pg_catalog.text,
        e.at, e.kind, e.topic, e.generation, e.operation, e.old, e.new
      from listenql.batch q
      cross join lateral pg_catalog.unnest(q.xids[since:since operator(pg_catalog.+) rows_left]) with ordinality x(xid, i)
      cross join lateral (select v.* from listenql.event v where v.xid operator(pg_catalog.=) x.xid
          and (v.statement, v.id) operator(pg_catalog.>) (
            case when inside and x.i operator(pg_catalog.=) 1 and since operator(pg_catalog.=) after_ord then after_statement else -1 end,
            case when inside and x.i operator(pg_catalog.=) 1 and since operator(pg_catalog.=) after_ord then after_id else 0 end)
        order by v.statement, v.id limit rows_left) e
      where q.n operator(pg_catalog.=) b.n
    loop
      return next d;
      rows_left := rows_left operator(pg_catalog.-) 1;
      bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
      exit page when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
    end loop;
  end loop;
  -- TRUNCATE is not MVCC-safe. A statement of its own, after the page, sees whether the horizon has passed.
  select h.horizon into behind from listenql.history h where h.only_row;
  if after_n operator(pg_catalog.<) behind or (after_n operator(pg_catalog.=) behind and after_ord operator(pg_catalog.<>) 2147483647) then
    raise exception 'CURSOR_EXPIRED' using errcode = 'LQ002', hint = 'The log does not reach back that far: read a snapshot again.';
  end if;
  if known operator(pg_catalog.=) after_token is not true and (known is not null or after_token is not null) then
    raise exception 'CURSOR_INVALID' using errcode = 'LQ001', hint = 'That history was lost or never was: read a snapshot again.';
  end if;
end $$;

-- One poll: a batch if there is something for one, then a page. Rows count only once the call has committed. The batch is that of
-- cut_batch(); a look that finds nothing reads one row of the ledger, and the index of the log only if transactions have ended.
create or replace function listenql.pull(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan set jit = off as $$
declare
  last_n bigint; last_token bigint; seen pg_catalog.pg_snapshot; now pg_catalog.pg_snapshot;
  fresh pg_catalog._xid8; made bigint; d listenql.delivery; rows_left int := max_rows; bytes_left bigint := 4194304;
begin
  -- A look that finds nothing writes nothing, and would succeed on a standby, whose snapshot does not show what is running.
  if pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'on' then
    raise exception 'listenql: cannot read the log in a read-only transaction' using errcode = 'read_only_sql_transaction';
  end if;
  if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
    raise exception 'listenql: reading the log needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  if pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.=) 'off' then -- what is handed on must not be forgotten in a crash
    perform pg_catalog.set_config('synchronous_commit', 'on', true);
  end if;
  select b.n, b.token, b.snapshot, pg_catalog.pg_current_snapshot() into last_n, last_token, seen, now from listenql.history h
    cross join lateral (select q.n, q.token, q.snapshot from listenql.batch q order by q.n desc limit 1) b
    where h.only_row and h.database operator(pg_catalog.<>) 0::pg_catalog.oid;
  if last_n is null then
    raise exception 'CURSOR_INVALID' using errcode = 'LQ001', hint = 'The log was restored or loaded without its state: a new history begins.';
  end if;
  -- What was running in `now` is left out, so a later snapshot finds the same.
  if pg_catalog.pg_snapshot_xmin(now) operator(pg_catalog.=) pg_catalog.pg_snapshot_xmax(now)
      and pg_catalog.pg_snapshot_xmin(seen) operator(pg_catalog.=) pg_catalog.pg_snapshot_xmax(seen) then -- nothing runs, and nothing ran
    fresh := array(select v.xid from listenql.event v
      where v.xid operator(pg_catalog.>=) pg_catalog.pg_snapshot_xmax(seen) and v.xid operator(pg_catalog.<) pg_catalog.pg_snapshot_xmax(now)
      group by v.xid order by pg_catalog.max(v.id));
  else
    fresh := array(select done.xid from (
        select e.xid, e.last
        from (select x as lo, pg_catalog.lead(x) over (order by x) as hi from (
                select ((pg_catalog.pg_snapshot_xmax(seen)::pg_catalog.text)::bigint operator(pg_catalog.-) 1)::pg_catalog.text::pg_catalog.xid8 as x
                union all select r from pg_catalog.pg_snapshot_xip(now) r where r operator(pg_catalog.>=) pg_catalog.pg_snapshot_xmax(seen)
                union all select pg_catalog.pg_snapshot_xmax(now)) edges) gap
        cross join lateral (select v.xid, pg_catalog.max(v.id) as last from listenql.event v
                            where v.xid operator(pg_catalog.>) gap.lo and v.xid operator(pg_catalog.<) gap.hi group by v.xid) e
        where gap.hi is not null
        union all
        select e.xid, e.last
        from (select r as xid from pg_catalog.pg_snapshot_xip(seen) r where pg_catalog.pg_visible_in_snapshot(r, now)) ended
        cross join lateral (select v.xid, pg_catalog.max(v.id) as last from listenql.event v where v.xid operator(pg_catalog.=) ended.xid group by v.xid) e
      ) done order by done.last);
  end if;
  if pg_catalog.cardinality(fresh) operator(pg_catalog.>) 0 then
    insert into listenql.batch (n, token, snapshot, xids)
      values (last_n operator(pg_catalog.+) 1, (pg_catalog.random() operator(pg_catalog.*) 1e15::pg_catalog.float8)::bigint, now, fresh)
      on conflict (n) do nothing returning token into made;
  elsif after_n operator(pg_catalog.=) last_n and after_token operator(pg_catalog.=) last_token and after_ord operator(pg_catalog.=) 2147483647 then
    return;
  end if;
  if made is not null and after_n operator(pg_catalog.=) last_n and after_token operator(pg_catalog.=) last_token
      and after_ord operator(pg_catalog.=) 2147483647 then
    for d in
      select last_n operator(pg_catalog.+) 1, made, x.i::int, e.statement, e.id, e.xid::pg_catalog.text,
        e.at, e.kind, e.topic, e.generation, e.operation, e.old, e.new
      from pg_catalog.unnest(fresh) with ordinality x(xid, i)
      cross join lateral (select v.* from listenql.event v where v.xid operator(pg_catalog.=) x.xid order by v.statement, v.id limit rows_left) e
    loop
      return next d;
      rows_left := rows_left operator(pg_catalog.-) 1;
      bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
      exit when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
    end loop;
    return;
  end if;
  return query select r.* from listenql.read(after_n, after_token, after_ord, after_statement, after_id, max_rows) r;
end $$;
