-- Writes to watched tables cost less.
--
-- * The SQL that logs called volatile functions in its list. Around such a list Postgres keeps each subquery as a step of the plan,
--   and sets the step up anew for every statement.
-- * The changes of a large statement are packed: a row of the log with operation P holds several of them. `old` and `new` are their
--   images with chr(30) between two of them, which JSON cannot contain; an image that is missing is empty. A change has the id of the
--   row plus its place in it, from 1, so that ids are 128 apart. A row is complete once its images have 1,900 bytes: Postgres
--   compresses rows of more than 2 kB, and that took as long as all other steps together.
-- * settle() compares single changes. So the changes of a statement are packed only if nothing else was under way, and settle()
--   unpacks what it looks at.

-- Which partition is written to. As a default it is not part of the query.
alter table listenql.event alter slot set default (pg_catalog.pg_sequence_last_value('listenql.head') & 3)::smallint;
alter sequence listenql.event_id increment by 128;

-- Says that the image of a row was not made, see take_back(). STABLE, so that the query around it is planned as if it were not
-- there; the CASE around it keeps it from being called for other rows.
create function listenql.mark_large() returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return set_config('listenql.large', '1', true);
end $$;

-- The changes in a packed row.
create function listenql.unpacked(olds text, news text) returns table (place bigint, operation "char", old text, new text)
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return query select u.place, case when u.old <> '' is not true then 'I' when u.new <> '' is not true then 'D' else 'U' end::"char",
      case when u.old <> '' then u.old end, case when u.new <> '' then u.new end
    from unnest(string_to_array(olds, chr(30)), string_to_array(news, chr(30))) with ordinality u(old, new, place);
end $$;

-- Unpacks the changes of a table that this transaction has logged, from statement `base` on.
create function listenql.unpack(root oid, base int) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into listenql.event (slot, id, statement, at, kind, topic, generation, operation, old, new)
    select e.slot, e.id + u.place, e.statement, e.at, e.kind, e.topic, e.generation, u.operation, u.old, u.new
    from listenql.event e cross join lateral listenql.unpacked(e.old, e.new) u
    where e.xid = pg_current_xact_id() and e.statement >= base and e.kind = 't' and e.topic = root::text and e.operation = 'P';
  if found then
    delete from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement >= base and e.kind = 't' and e.topic = root::text and e.operation = 'P';
  end if;
end $$;

-- As in 0009, for packed changes.
create or replace function listenql.settle(root oid, own int, logged int, op text, signs int, cascading text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  base int := case when signs & 16 > 0 then 0 else own & ~3 end;
  own_to int := case when own & 3 = 0 then own + 3 else own end;
  keys text[] := listenql.key_columns(root);
  first_id bigint;
  starts text[]; ends text[]; image text; at int; r record;
begin
  perform listenql.unpack(root, base);
  if cardinality(keys) = 0 or not exists (select from listenql.event e where e.xid = pg_current_xact_id()
      and e.statement >= base and (e.statement <> own or own <> own_to) and e.kind = 't' and e.topic = root::text)
    -- Without a cascade an UPDATE is out of order only where it moved a row to another key.
    or (op = 'UPDATE' and own = own_to and strpos(cascading, 'u') = 0 and signs & 16 = 0 and not exists (select from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement = own and e.topic = root::text and e.operation <> 'U')) then
    return;
  end if;
  first_id := min(l.id) from (select e.id from listenql.event e where e.xid = pg_current_xact_id() and e.statement between own and own_to
    and e.kind = 't' and e.topic = root::text order by e.id desc limit logged) l;
  for r in
    with e as materialized (
      select e.statement, e.id, e.old, e.new, listenql.key_of(coalesce(e.new, e.old), keys) as key
      from listenql.event e where e.xid = pg_current_xact_id() and e.statement >= base and e.kind = 't'
        and e.topic = root::text and e.operation <> 'T'),
    f as (
      select e.*, row_number() over w as i, count(*) over (partition by e.key) as n, lag(e.new) over w as found
      from e where e.key in (select k.key from e k where k.statement between own and own_to and k.id >= first_id)
      window w as (partition by e.key order by e.statement, e.id))
    select array_agg(f.statement order by f.i) as statements, array_agg(f.id order by f.i) as ids,
      array_agg(f.old order by f.i) as olds, array_agg(f.new order by f.i) as news
    from f where f.n > 1 group by f.key
    having bool_or(f.i > 1 and f.old is distinct from f.found)
      -- The row is as it was, and was gone or there in between, or the other way round: an INSERT and a DELETE of the same image.
      -- A function or a BEFORE trigger may have deleted it before it was inserted, or after; and so may a cascade.
      or min(f.old) filter (where f.i = 1) is not distinct from min(f.new) filter (where f.i = f.n) and bool_or(f.old is null)
        and (strpos(cascading, 'd') > 0 and min(f.old) filter (where f.i = 1) is not null
          or (signs & 4 > 0 or listenql.has_before(root)) and bool_or(f.statement >> 2 <> own >> 2))
  loop
    starts := '{}';
    ends := r.news;
    foreach image in array r.olds loop
      at := array_position(ends, image);
      if at is null then starts := starts || image; else ends := ends[:at - 1] || ends[at + 1:]; end if;
    end loop;
    continue when cardinality(starts) > 1;
    for i in 1 .. cardinality(r.ids) - cardinality(starts) loop
      delete from listenql.event e where e.xid = pg_current_xact_id() and e.statement = r.statements[i] and e.id = r.ids[i];
    end loop;
    if cardinality(starts) = 1 then
      update listenql.event e set old = starts[1], new = ends[1],
        operation = case when starts[1] is null then 'I' when ends[1] is null then 'D' else 'U' end
        where e.xid = pg_current_xact_id() and e.statement = r.statements[cardinality(r.ids)] and e.id = r.ids[cardinality(r.ids)];
    end if;
  end loop;
end $$;

-- As in 0016, with packed changes one by one.
create or replace function listenql.read(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan set jit = off as $$
declare
  b pg_catalog.record; d listenql.delivery; seen bigint; returned int; known bigint; behind bigint; since int; inside boolean;
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
            case when inside and x.i operator(pg_catalog.=) 1 and since operator(pg_catalog.=) after_ord then after_id operator(pg_catalog.-) 128 else 0 end)
        order by v.statement, v.id limit case when rows_left operator(pg_catalog.>) 0 then rows_left operator(pg_catalog.+) 128 else 0 end) e
      where q.n operator(pg_catalog.=) b.n
    loop
      seen := case when inside and d.ord operator(pg_catalog.=) after_ord and d.statement operator(pg_catalog.=) after_statement then after_id else 0 end;
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
        exit page when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
      elsif d.id operator(pg_catalog.>) seen then
        return next d;
        rows_left := rows_left operator(pg_catalog.-) 1;
        bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
        exit page when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
      end if;
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

create or replace function listenql.pull(after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint,
    max_rows int) returns setof listenql.delivery language plpgsql security definer
  set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan set jit = off as $$
declare
  last_n bigint; last_token bigint; seen pg_catalog.pg_snapshot; now pg_catalog.pg_snapshot;
  fresh pg_catalog._xid8; made bigint; d listenql.delivery; returned int;
  rows_left int := max_rows; bytes_left bigint := 4194304;
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
    <<page>>
    for d in
      select last_n operator(pg_catalog.+) 1, made, x.i::int, e.statement, e.id, e.xid::pg_catalog.text,
        e.at, e.kind, e.topic, e.generation, e.operation, e.old, e.new
      from pg_catalog.unnest(fresh) with ordinality x(xid, i)
      cross join lateral (select v.* from listenql.event v where v.xid operator(pg_catalog.=) x.xid order by v.statement, v.id limit rows_left) e
    loop
      if d.operation operator(pg_catalog.=) 'P' then
        return query select d.n, d.token, d.ord, d.statement, d.id operator(pg_catalog.+) u.place, d.xid, d.at, d.kind, d.topic, d.generation,
            (case when u.old operator(pg_catalog.<>) '' is not true then 'I' when u.new operator(pg_catalog.<>) '' is not true then 'D' else 'U' end)::"char",
            case when u.old operator(pg_catalog.<>) '' then u.old end, case when u.new operator(pg_catalog.<>) '' then u.new end
          from rows from (pg_catalog.unnest(pg_catalog.string_to_array(d.old, pg_catalog.chr(30))),
            pg_catalog.unnest(pg_catalog.string_to_array(d.new, pg_catalog.chr(30)))) with ordinality u(old, new, place)
          limit rows_left;
        get diagnostics returned = row_count;
        rows_left := rows_left operator(pg_catalog.-) returned;
        bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
        exit page when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
      else
        return next d;
        rows_left := rows_left operator(pg_catalog.-) 1;
        bytes_left := bytes_left operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.old), 0) operator(pg_catalog.-) coalesce(pg_catalog.octet_length(d.new), 0);
        exit page when rows_left operator(pg_catalog.<=) 0 or bytes_left operator(pg_catalog.<=) 0;
      end if;
    end loop;
    return;
  end if;
  return query select r.* from listenql.read(after_n, after_token, after_ord, after_statement, after_id, max_rows) r;
end $$;

-- As in 0010, with packed changes.
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
  select least(10001, coalesce(sum(q.changes), 0)), min(q.at) into pending, pending_since from (
    select e.at, case when e.operation = 'P' then length(coalesce(e.new, e.old)) - length(replace(coalesce(e.new, e.old), chr(30), '')) + 1 else 1 end as changes from listenql.event e where e.xid >= pg_snapshot_xmax(seen)
    union all
    select e.at, case when e.operation = 'P' then length(coalesce(e.new, e.old)) - length(replace(coalesce(e.new, e.old), chr(30), '')) + 1 else 1 end from pg_snapshot_xip(seen) x join listenql.event e on e.xid = x
    limit 10001) q;
  bytes := listenql.log_bytes();
  select count(*) into watched from listenql.watched;
  bell_armed := pg_sequence_last_value('listenql.armed') > pg_sequence_last_value('listenql.cleared')
    and pg_sequence_last_value('listenql.lease') > extract(epoch from clock_timestamp());
end $$;

-- The rest of the SELECT in log_sql(), from the column `operation` on.
create function listenql.changes_sql(op text, root oid, member oid, guard text, by_place boolean) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  a text := listenql.free_alias(root, member);
  tail text := coalesce(' where ' || guard, '');
  large text := listenql.large_sql(root, member, a, guard is null, guard is null);
  key_cols text[] := listenql.key_columns(root);
  cols text; nulls text; keys text; head text; up text; down text; old_rows text; new_rows text; whole boolean; placed text;
begin
  if op = 'TRUNCATE' then return quote_literal('T') || ', null, null'; end if;
  cols := listenql.columns_sql(root, member, a, guard is null);
  select string_agg(format('null::pg_catalog.text as %I', m.attname), ', '),
      root = member and guard is not null and coalesce(bool_and(listenql.is_builtin(m.atttypid)), true)
        and not coalesce(bool_or(to_jsonb(m) ->> 'attgenerated' = 'v' or m.attname = any (key_cols) and listenql.is_array(m.atttypid)), false)
    into nulls, whole
    from pg_attribute r join pg_attribute m on m.attrelid = member and m.attname = r.attname and m.attnum > 0
    where r.attrelid = root and r.attnum > 0 and not r.attisdropped and not m.attisdropped;
  select string_agg(format('pg_catalog.format(%L, %s%I) collate pg_catalog."C"', '%s', case when large is not null and not whole then a || '.' end, k.col),
      ', ' order by k.i) into keys
    from unnest(listenql.key_columns(root)) with ordinality k(col, i);
  if cardinality(listenql.key_columns(root)) > 1 then keys := 'array[' || keys || ']'; end if;
  if whole and large is null then -- the row as it is: less to do for each, and only the key has names
    select string_agg(format('null::pg_catalog.text as %I', k.col), ', ') into nulls
      from unnest(case when op = 'UPDATE' then listenql.key_columns(root) else '{}' end) k(col);
  end if;
  up := case when guard is not null and nulls is not null then format('(select %s) _lq_up cross join lateral ', nulls) else '' end;
  up := up || format('(select %s as image%s from ', format(case when large is null then 'pg_catalog.row_to_json(%1$I)::pg_catalog.text'
      else 'case when %2$I.%2$I operator(pg_catalog.<=) 262144 then pg_catalog.row_to_json(%1$I)::pg_catalog.text else ' ||
        case when guard is null then '%2$I.%3$I' else 'listenql.mark_large()' end || ' end' end,
      a, a || 'z', a || 'c'), case when op = 'UPDATE' then ', ' || keys || ' as key' end)
    || case when whole or large is not null then '' else format('(select %s from ', cols) end;
  down := case when large is null then case when whole then '' else format(' %I)', a) end || format(' %I) _lq_i', a)
    else format(' %I cross join lateral (%s) %I', case when whole then a else a || 'i' end, large, a || 'z')
      || case when whole then '' else format(' cross join lateral (select %s) %I', cols, a) end || ') _lq_i' end;
  old_rows := up || '_lq_old' || down;
  new_rows := up || '_lq_new' || down;
  if op = 'INSERT' then return format('%L, null, _lq_i.image from ', 'I') || new_rows || tail;
  elsif op = 'DELETE' then return format('%L, _lq_i.image, null from ', 'D') || old_rows || tail;
  end if;
  -- A partition's trigger may have swallowed a row: then nothing is paired by place.
  placed := format(' from (select _lq_i.image%3$s, pg_catalog.row_number() over () as i from %1$s) _lq_o '
    'full join (select _lq_i.image%3$s, pg_catalog.row_number() over () operator(pg_catalog.+) '
    'case when (select pg_catalog.count(*) from _lq_old) operator(pg_catalog.=) (select pg_catalog.count(*) from _lq_new) then 0 '
    'else (select pg_catalog.count(*) from _lq_old) end as i from %2$s) _lq_n on _lq_o.i operator(pg_catalog.=) _lq_n.i',
    old_rows, new_rows, case when keys is not null then ', _lq_i.key' end);
  if keys is not null and by_place then
    return '_lq_e.operation, _lq_e.old, _lq_e.new' || placed || format(' cross join lateral ('
      'select %1$L, _lq_o.image, _lq_n.image, 1 where _lq_o.key operator(pg_catalog.=) _lq_n.key '
      'union all select %2$L, _lq_o.image, null, 2 where (_lq_o.key operator(pg_catalog.=) _lq_n.key) is not true and _lq_o.image is not null '
      'union all select %3$L, null, _lq_n.image, 3 where (_lq_o.key operator(pg_catalog.=) _lq_n.key) is not true and _lq_n.image is not null'
      ') _lq_e(operation, old, new, i)', 'U', 'D', 'I') || tail || ' order by coalesce(_lq_o.i, _lq_n.i), _lq_e.i';
  end if;
  head := format('case when _lq_o.image is null then %L when _lq_n.image is null then %L else %L end, _lq_o.image, _lq_n.image', 'I', 'D', 'U');
  if keys is not null then -- by the text of the key: it is what a client has
    -- FULL, because a cached plan for one row would be a nested loop.
    return head || format(' from (select _lq_i.image, _lq_i.key from %s) _lq_o full join (select _lq_i.image, _lq_i.key from %s) _lq_n '
      'on _lq_o.key operator(pg_catalog.=) _lq_n.key', old_rows, new_rows) || tail;
  end if;
  return head || placed || tail || ' order by coalesce(_lq_o.i, _lq_n.i)';
end $$;

-- As in 0014. Without slot_sql the slot is the default.
create or replace function listenql.log_sql(op text, root oid, member oid, generation_sql text, slot_sql text, statement_sql text, guard text,
    by_place boolean) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return format('insert into listenql.event (%sstatement, kind, topic, generation, operation, old, new) select %s%s, %L, %L, %s, ',
      case when slot_sql is not null then 'slot, ' end, slot_sql || ', ', statement_sql, 't', root::text, generation_sql)
    || listenql.changes_sql(op, root, member, guard, by_place);
end $$;

-- As log_sql(), with the changes packed. OFFSET 0 keeps the image of a row from being made twice: for its size, and for the row of the
-- log. A change counts 20 bytes more than its images have, so that a row of the log holds fewer than 128.
create function listenql.pack_sql(op text, root oid, member oid, generation_sql text, statement_sql text, guard text) returns text
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return format('insert into listenql.event (statement, kind, topic, generation, operation, old, new) select %s, %L, %L, %s, %L, ',
      statement_sql, 't', root::text, generation_sql, 'P')
    || (select string_agg(case when op = c.without then 'null' else format('pg_catalog.string_agg(coalesce(_lq_p.%s, %L), %L)', c.name, '', chr(30)) end, ', ' order by c.i)
      from (values (1, 'old', 'INSERT'), (2, 'new', 'DELETE')) c(i, name, without))
    || format(' from (select _lq_q.old, _lq_q.new, pg_catalog.sum(20 operator(pg_catalog.+) %s) over (rows unbounded preceding) '
      'operator(pg_catalog./) 1900 as place ', case op when 'INSERT' then 'pg_catalog.octet_length(_lq_q.new)' when 'DELETE' then 'pg_catalog.octet_length(_lq_q.old)'
        else 'coalesce(pg_catalog.octet_length(_lq_q.old), 0) operator(pg_catalog.+) coalesce(pg_catalog.octet_length(_lq_q.new), 0)' end) ||
      'from (select ' || listenql.changes_sql(op, root, member, guard, false) || ' offset 0) _lq_q(operation, old, new)) _lq_p group by _lq_p.place order by _lq_p.place';
end $$;

-- As in 0009, with changes_sql() and pack_sql(). Only counting tells how many rows a statement has, and to count them takes 14,000
-- instructions (a whole INSERT of one row: 294,000). The number of rows that this session has not reported to the statistics yet is
-- quicker to read, and is no smaller, as long as Postgres collects them. So rows are counted only if that number exceeds 500.
create or replace function listenql.write_functions(root oid, member oid, generation int) returns void language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare
  part boolean := root <> member;
  tree boolean := listenql.merge_triggers(member) > 0;
  branch boolean := tree and (select c.relkind = 'p' from pg_class c where c.oid = member);
  cascading text := listenql.cascades(member);
  same text := format('(%s, %s, %s)', member, listenql.shape(member), coalesce(listenql.key_index(root)::text, 'null'));
  suited text := format('(%s, %s, %s, %L)', member, listenql.shape(member), coalesce(listenql.key_index(root)::text, 'null'), cascading);
  delicate boolean := exists (select from pg_attribute p where p.attrelid = member and p.attnum > 0 and listenql.is_delicate(p));
  ways text[] := (select array_agg(distinct w) from pg_attribute a, unnest(listenql.sways(a.atttypid)) w
    where a.attrelid = member and a.attnum > 0 and not a.attisdropped);
  pinned boolean := delicate or coalesce('all' = any (ways), false); -- by the function itself
  has_large boolean := exists (select from listenql.column_values(root, member, 'r', false) v where v.large);
  number_sql text := $sql$(select pg_catalog.current_setting('listenql.number')::pg_catalog.int4)$sql$;
  packs boolean; counter text; usual text; pin text; unpin text; wrap text; guard text; first text; second text; op text; phase int; disturbed text; tangled text; late text;
begin
  execute format('create or replace function listenql.%I() returns trigger language plpgsql security definer as %L', 'number_' || member,
    format($body$
declare
  context pg_catalog.text;
  stack pg_catalog.text;
  n int;
  merge pg_catalog.bool := false;
begin%s
  if (pg_catalog.pg_current_xact_id_if_assigned() is not null or tg_op operator(pg_catalog.=) 'TRUNCATE'%s)
      and tg_relid operator(pg_catalog.=) %s::pg_catalog.oid then
    %sstack := pg_catalog.current_setting('listenql.statement', true);
    if stack operator(pg_catalog.<>) '' and pg_catalog.strpos(stack, '=') operator(pg_catalog.=) 0
        and pg_catalog.strpos(context, E'\n') operator(pg_catalog.=) 0 and not merge
        and pg_catalog.current_setting('listenql.depth', true) operator(pg_catalog.=) '1' then
      n := pg_catalog.split_part(stack, ';', 1)::int operator(pg_catalog.+) 1;
      stack := pg_catalog.set_config('listenql.statement', pg_catalog.concat(n, ';', tg_op, %L, n, '@1:0;'), true);
    else
      n := listenql.enter(tg_op, %L, %L, context, merge);
    end if;%s%s
  end if;
  return null;
end$body$,
    case when tree then E'\n  get diagnostics context = pg_context;' || case when branch then E'\n  merge := listenql.may_be_merge(context);' else '' end end,
    case when tree then $sql$ or pg_catalog.current_setting('listenql.merging', true) operator(pg_catalog.<>) '' or merge$sql$ end,
    member,
    case when not tree then E'get diagnostics context = pg_context;\n    ' end,
    member || '.' || root || '=', member, root,
    case when tree then $sql$
    if merge or pg_catalog.current_setting('listenql.merging', true) operator(pg_catalog.<>) '' then
      perform listenql.set_merging();
    end if;$sql$ end,
    case when cascading <> '' then format($sql$
  else -- Which operations on this table the command has, for the trigger that comes last.
    stack := pg_catalog.set_config('listenql.operations', pg_catalog.concat(pg_catalog.current_setting('listenql.operations', true),
      pg_catalog.left(tg_op, 1), %L), true);$sql$, member || ';') end));

  if not pinned then
    select string_agg(format(' and pg_catalog.current_setting(%L) operator(pg_catalog.=) any (%L::pg_catalog.text[])', s.name, s.fine), '' order by w.i),
        format('former := array[%s]; image := pg_catalog.concat(%s);',
          string_agg(format('pg_catalog.current_setting(%L)', s.name), ', ' order by w.i),
          string_agg(format('pg_catalog.set_config(%L, %L, true)', s.name, (s.fine::text[])[1]), ', ' order by w.i)),
        format('image := pg_catalog.concat(%s);', string_agg(format('pg_catalog.set_config(%L, former[%s], true)', s.name, w.i), ', ' order by w.i))
      into usual, pin, unpin
    from unnest(ways) with ordinality w(way, i) join (values
        ('timezone', 'timezone', '{UTC,Etc/UTC,GMT}'), ('dates', 'datestyle', '{"ISO, YMD","ISO, MDY","ISO, DMY"}'),
        ('floats', 'extra_float_digits', '{1,2,3}'), ('bytea', 'bytea_output', '{hex}'),
        ('interval', 'intervalstyle', '{iso_8601}'), ('money', 'lc_monetary', '{C}')) s(way, name, fine) on s.way = w.way;
  end if;
  foreach op in array array['INSERT', 'UPDATE', 'DELETE'] loop
    phase := case op when 'DELETE' then 1 when 'UPDATE' then 2 else 3 end;
    -- Delicate columns: asked in a query on the table, so that it is asked again when the table has changed.
    wrap := case when delicate then format('if exists (select from %s where listenql.suits%s) then %%s; end if;', case op when 'DELETE' then '_lq_old' else '_lq_new' end, suited)
      else '%s;' end;
    guard := case when not delicate then 'listenql.suits' || suited end;
    -- An UPDATE whose rows are paired by place has its own order. Of partitioned tables choose_merged() compares single changes.
    packs := not tree and (op <> 'UPDATE' or (cardinality(listenql.key_columns(root)) > 0 and strpos(cascading, 'u') = 0));
    counter := format('pg_stat_get_xact_tuples_%s', case op when 'INSERT' then 'inserted' when 'UPDATE' then 'updated' else 'deleted' end);
    -- Cascades may have added rows to this operation, and the command has others on this table.
    tangled := case when (op = 'DELETE' and strpos(cascading, 'd') > 0) or (op = 'UPDATE' and strpos(cascading, 'u') > 0) then format($sql$
    if pg_catalog.translate(pg_catalog.current_setting('listenql.operations', true), %L, '') operator(pg_catalog.~) %L then
      signs := 8;
      number := 0;
    end if;$sql$, left(op, 1), '[A-Z]' || member || ';') end;
    late := concat(late, case when tangled is not null then format($sql$
      if tg_op operator(pg_catalog.=) %L and pg_catalog.translate(pg_catalog.current_setting('listenql.operations', true), %L, '') operator(pg_catalog.~) %L then
        signs := 8;
      end if;$sql$, op, left(op, 1), '[A-Z]' || member || ';') end);
    first := concat(first, format($body$
  %s tg_op operator(pg_catalog.=) %L
      and (pg_catalog.current_setting('listenql.statement', true) operator(pg_catalog.=) '') is not false%s%s then
    $body$ || wrap, case op when 'INSERT' then 'if' else 'elsif' end, op, usual,
      case when packs then format(' and pg_catalog.%I(%s::pg_catalog.oid) operator(pg_catalog.<=) 500', counter, member) end,
      listenql.log_sql(op, root, member, generation::text, null, phase::text, guard, strpos(cascading, 'u') > 0)), tangled);
    second := concat(second, format($body$
    elsif tg_op operator(pg_catalog.=) %L then%s
      $body$ || wrap || '%s', op, case when packs then format($sql$
      if signs operator(pg_catalog.=) 0 and pg_catalog.%I(%s::pg_catalog.oid) operator(pg_catalog.>) 500
          and exists (select from %s offset 16) then
        $sql$ || wrap || E'\n      else', counter, member, case op when 'DELETE' then '_lq_old' else '_lq_new' end,
        listenql.pack_sql(op, root, member, generation::text, number_sql, guard)) end,
      listenql.log_sql(op, root, member, generation::text, null, number_sql, guard, strpos(cascading, 'u') > 0),
      case when packs then E'\n      end if;' end));
  end loop;
  disturbed := format($sql$(case when signs operator(pg_catalog.&) 8 operator(pg_catalog.>) 0 then signs operator(pg_catalog.&) 32 operator(pg_catalog.=) 0 and (signs operator(pg_catalog.&) 1 operator(pg_catalog.>) 0 or %s)
      else logged operator(pg_catalog.>) 0 and (tg_op operator(pg_catalog.<>) 'DELETE' or %s) end)$sql$, (cascading <> '')::text, (strpos(cascading, 'd') > 0)::text);

  execute format('create or replace function listenql.%I() returns trigger language plpgsql security definer %s as %L',
    'capture_' || member, case when pinned then
      $sql$set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601'
      set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off set jit = off$sql$ end,
    format($body$
#variable_conflict use_column
<<_lq>>
declare
  signs int;
  number int;
  logged int;
  former pg_catalog.text[];
  image pg_catalog.text;
  again boolean;
begin
  if pg_catalog.pg_sequence_last_value('listenql.head') is null or tg_relid operator(pg_catalog.<>) %s::pg_catalog.oid then return null; end if;%s
  else
    image := pg_catalog.current_setting('listenql.statement', true);
    number := pg_catalog.concat('0', pg_catalog.split_part(image, ';', 1));
    if image operator(pg_catalog.=) pg_catalog.concat(number, ';', tg_op, %L, number, '@1:0;') then -- nothing else was under way
      image := pg_catalog.set_config('listenql.statement', pg_catalog.concat(number, ';'), true);
      image := pg_catalog.set_config('listenql.number', (number operator(pg_catalog.*) 4 operator(pg_catalog.+) case
        when tg_op operator(pg_catalog.=) 'INSERT' then 3 when tg_op operator(pg_catalog.=) 'UPDATE' then 2
        when tg_op operator(pg_catalog.=) 'DELETE' then 1 else 0 end)::pg_catalog.text, true);
      signs := 0;
    else
      get diagnostics image = pg_context;
      signs := listenql.leave(tg_op, %L, %L, image);
    end if;%s%s
    if tg_op operator(pg_catalog.=) 'TRUNCATE' then
      number := pg_catalog.current_setting('listenql.number')::int;
      if number operator(pg_catalog.>) 0 then
        %s;
      end if;%s
    end if;
    get diagnostics logged = row_count;%s
    if signs operator(pg_catalog.>) 0 and tg_op operator(pg_catalog.<>) 'TRUNCATE' then
      number := pg_catalog.current_setting('listenql.number');%s
    end if;
  end if;
  if not found or again%s or pg_catalog.pg_sequence_last_value('listenql.armed') operator(pg_catalog.>) pg_catalog.pg_sequence_last_value('listenql.cleared') then
%s    if not found then
      if tg_op operator(pg_catalog.=) 'DELETE' then again := exists (select from _lq_old);
      elsif tg_op operator(pg_catalog.<>) 'TRUNCATE' then again := exists (select from _lq_new);
      end if;
    end if;
    if again then
      former := listenql.pin();
      if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.<>) 'read committed' then
        execute pg_catalog.format('select row_to_json(x)::text from (select n.* from (select 1) o left join (select * from _lq_%%s limit 0) n on true) x',
          case when tg_op operator(pg_catalog.=) 'DELETE' then 'old' else 'new' end) into image;
        if image operator(pg_catalog.<>) listenql.names(tg_relid) then
          raise exception 'listenql: table %% was altered after the snapshot of this transaction', tg_relid::pg_catalog.regclass
            using errcode = 'serialization_failure', hint = 'Try the transaction again.';
        end if;
      end if;
      execute listenql.log_sql(tg_op, %s, tg_relid, '$2', null, '$1', null, true)
        using case when signs is not null and number operator(pg_catalog.<>) 0 then pg_catalog.current_setting('listenql.number')::int
          when tg_op operator(pg_catalog.=) 'DELETE' then 1 when tg_op operator(pg_catalog.=) 'UPDATE' then 2 else 3 end,
          case when listenql.is_same%s then %s else %s end;
      get diagnostics logged = row_count;
      perform listenql.unpin(former);
    end if;
    if found or again then again := listenql.ring(); end if;
  end if;
  if signs operator(pg_catalog.>) 0 then
    if %s and tg_op operator(pg_catalog.<>) 'TRUNCATE'%s then
      perform listenql.settle(%s, case when signs operator(pg_catalog.&) 8 operator(pg_catalog.>) 0 then number operator(pg_catalog.&) -4 else number end,
        case when signs operator(pg_catalog.&) 8 operator(pg_catalog.>) 0 then 2147483647 else logged end, tg_op, signs, %L);
    end if;
  end if;%s
  return null;
end$body$,
    member, first, member || '.' || root || '=', member, root,
    -- The same for the first command of a transaction that the conditions above did not take.
    case when late <> '' then E'\n    if signs operator(pg_catalog.=) 0 and number operator(pg_catalog.=) 0 then' || late || E'\n    end if;' end,
    E'\n    if not (true' || usual || ') then ' || pin || ' end if;',
    listenql.log_sql('TRUNCATE', root, member, (case when part then generation + 1 else generation end)::text, null, 'number', null, false),
    second, E'\n    if former is not null then ' || unpin || ' end if;',
    case when strpos(cascading, 'u') = 0 then format($sql$
      if found and tg_op operator(pg_catalog.=) 'UPDATE' and signs operator(pg_catalog.&) 1 operator(pg_catalog.>) 0%s then
        again := listenql.repeats(%s, number, logged);
      end if;$sql$, case when has_large then $sql$ and (pg_catalog.current_setting('listenql.large', true) operator(pg_catalog.=) '1') is not true$sql$ end, root) end,
    case when has_large then $sql$ or pg_catalog.current_setting('listenql.large', true) operator(pg_catalog.=) '1'$sql$ end,
    case when has_large then format($sql$    if pg_catalog.current_setting('listenql.large', true) operator(pg_catalog.=) '1' then
      if logged is null then get diagnostics logged = row_count; end if;
      again := listenql.take_back(%s, case when signs is not null and number operator(pg_catalog.<>) 0 then pg_catalog.current_setting('listenql.number')::int
        when tg_op operator(pg_catalog.=) 'DELETE' then 1 when tg_op operator(pg_catalog.=) 'UPDATE' then 2 else 3 end,
        case when again then 0 else logged end);
    end if;
$sql$, root) end,
    root, same, generation, generation + 1, disturbed,
    case when branch then $sql$
      and pg_catalog.strpos(pg_catalog.current_setting('listenql.merged', true), pg_catalog.concat(';', number operator(pg_catalog.>>) 2, ';'))
        operator(pg_catalog.>) 0 is not true$sql$ end, root, cascading,
    case when tree then concat($sql$
  if pg_catalog.current_setting('listenql.merging', true) operator(pg_catalog.<>) ''
      or pg_catalog.strpos(pg_catalog.current_setting('listenql.statement', true), 'p@') operator(pg_catalog.>) 0 then
    perform listenql.set_merging();
  end if;$sql$, case when branch then format($sql$
  if signs is not null and pg_catalog.current_setting('listenql.merged', true) operator(pg_catalog.<>) '' then
    number := pg_catalog.current_setting('listenql.number')::int operator(pg_catalog.>>) 2;
    if pg_catalog.strpos(pg_catalog.current_setting('listenql.merged', true), pg_catalog.concat(';', number, ';')) operator(pg_catalog.>) 0
        and pg_catalog.strpos(pg_catalog.current_setting('listenql.statement', true), pg_catalog.concat('=', number, 'm')) operator(pg_catalog.=) 0 then
      perform listenql.choose_merged(%s, number, signs);
      again := listenql.ring();
    end if;
  end if;$sql$, root) end) end));
  execute format('revoke all on function listenql.%I(), listenql.%I() from public', 'number_' || member, 'capture_' || member);
  if branch and not part then perform listenql.write_merged(root, generation); end if;
end $$;

revoke all on function listenql.mark_large(), listenql.unpacked(text, text), listenql.unpack(oid, int),
  listenql.changes_sql(text, oid, oid, text, boolean), listenql.pack_sql(text, oid, oid, text, text, text) from public;

-- Tables that are watched already get the new functions, unless they were altered a moment ago: then refresh() writes them.
do $$
declare w record; m oid;
begin
  for w in select t.relid::oid as relid, t.generation, t.fingerprint from listenql.watched_table t for update loop
    continue when w.fingerprint is distinct from listenql.fingerprint(w.relid);
    for m in select listenql.members(w.relid) loop
      if listenql.has_functions(w.relid, m) then
        perform listenql.write_functions(w.relid, m, w.generation);
      end if;
    end loop;
  end loop;
end $$;
