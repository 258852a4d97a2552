-- read() reads the events of all batches of a page with one statement. In 0017, each batch took a statement of its own, and its start as
-- much time as the events of five batches. A server that does not lead reads several batches at a time, and so does a client that resumes.
create or replace function listenql.read(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan set jit = off as $$
declare
  d listenql.delivery; seen bigint; returned int; known bigint; behind bigint; first_n bigint; since int;
  rows_left int := max_rows; bytes_left bigint := 4194304;
begin
  if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
    raise exception 'listenql: reading the log needs READ COMMITTED' using errcode = 'LQ003';
  end if;
  select q.token into known from listenql.batch q where q.n operator(pg_catalog.=) after_n;
  if known operator(pg_catalog.=) after_token then
    first_n := case when after_ord operator(pg_catalog.=) 2147483647 then after_n operator(pg_catalog.+) 1 else after_n end;
    since := case when after_ord operator(pg_catalog.>) 1 then after_ord else 1 end;
    -- In order without an ORDER BY around it all, which would read all before the first row: a lateral LIMIT is always a nested loop.
    -- Each transaction has an event at least, so a page needs no more transactions of a batch than it has rows, and the one it is in.
    for d in
      select q.n, q.token, (x.i operator(pg_catalog.+) q.since operator(pg_catalog.-) 1)::int, e.statement, e.id, e.xid::pg_catalog.text,
        e.at, e.kind, e.topic, e.generation, e.operation, e.old, e.new
      from (select b.n, b.token, b.xids, case when b.n operator(pg_catalog.=) after_n then since else 1 end as since
        from listenql.batch b where b.n operator(pg_catalog.>=) first_n order by b.n) q
      cross join lateral pg_catalog.unnest(q.xids[q.since:q.since operator(pg_catalog.+) max_rows]) with ordinality x(xid, i)
      cross join lateral (select v.* from listenql.event v where v.xid operator(pg_catalog.=) x.xid
          and (v.statement, v.id) operator(pg_catalog.>) (
            case when q.n operator(pg_catalog.=) after_n and x.i operator(pg_catalog.=) 1 and q.since operator(pg_catalog.=) after_ord then after_statement else -1 end,
            case when q.n operator(pg_catalog.=) after_n and x.i operator(pg_catalog.=) 1 and q.since operator(pg_catalog.=) after_ord then after_id operator(pg_catalog.-) 128 else 0 end)
        order by v.statement, v.id limit case when max_rows operator(pg_catalog.>) 0 then max_rows operator(pg_catalog.+) 128 else 0 end) e
    loop
      seen := case when d.n operator(pg_catalog.=) after_n and d.ord operator(pg_catalog.=) after_ord and d.statement operator(pg_catalog.=) after_statement then after_id else 0 end;
      if d.operation operator(pg_catalog.=) 'P' then
        return query select d.n, d.token, d.ord, d.statement, d.id operator(pg_catalog.+) u.place, d.xid, d.at, d.kind, d.topic, d.generation,
            (case when u.old operator(pg_catalog.<>) '' is not true then 'I' when u.new operator(pg_catalog.<>) '' is not true then 'D' else 'U' end)::"char",
            case when u.old operator(pg_catalog.<>) '' then u.old end, case when u.new operator(pg_catalog.<>) '' then u.new end
          from rows from (pg_catalog.unnest(pg_catalog.string_to_array(d.old, pg_catalog.chr(30))),
            pg_catalog.unnest(pg_catalog.string_to_array(d.new, pg_catalog.chr(30)))) with ordinality u(old, new, place)
          where d.id operator(pg_catalog.+) u.place operator(pg_catalog.>) seen
          limit rows_left;
        get diagnostics returned = row_count;
        rows_left := rows_left operator(pg_catalog.-) returned;
        bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
        exit when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
      elsif d.id operator(pg_catalog.>) seen then
        return next d;
        rows_left := rows_left operator(pg_catalog.-) 1;
        bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
        exit when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
      end if;
    end loop;
  end if;
  -- TRUNCATE is not MVCC-safe. A statement of its own, after the page, sees whether the horizon has passed.
  select h.horizon into behind from listenql.history h where h.only_row;
  if after_n operator(pg_catalog.<) behind or (after_n operator(pg_catalog.=) behind and after_ord operator(pg_catalog.<>) 2147483647) then
    raise exception 'CURSOR_EXPIRED' using errcode = 'LQ002', hint = 'The log does not reach back that far: read a snapshot again.';
  end if;
  if known operator(pg_catalog.=) after_token is not true and (known is not null or after_token is not null) then
    raise exception 'CURSOR_INVALID' using errcode = 'LQ001', hint = 'That history was lost or never was: read a snapshot again.';
  end if;
end $$;
