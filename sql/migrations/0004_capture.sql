-- What the triggers of a watched table do. Each table has two functions of its own, number_OID and capture_OID, since only
-- SQL that names the columns can pair rows by key and keep away from casts that somebody defined.

-- Whether json functions turn the type into text without running anybody's code: those of Postgres itself, domains over
-- them and arrays of them.
create function listenql.is_builtin(type oid) returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare t record;
begin
  loop
    if type < 16384 then return true; end if;
    select typtype, typbasetype, typelem, typcategory into t from pg_type where pg_type.oid = type;
    if t.typtype = 'd' then type := t.typbasetype;
    elsif t.typcategory = 'A' and t.typelem <> 0 then type := t.typelem;
    else return false;
    end if;
  end loop;
end $$;

-- The value of a column for an image. Types of others go through their output function, which format() calls. `is null` and
-- a cast would not do: the first is true of a row of nulls, the second may be somebody's function.
create function listenql.value_sql(col text, type oid, i text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  if listenql.is_builtin(type) then return col; end if;
  if exists (select from pg_type where oid = type and typcategory = 'A' and typelem <> 0) then
    return format($f$case when pg_catalog.num_nulls(%1$s) operator(pg_catalog.=) 1 then null
      when pg_catalog.array_ndims(%1$s) operator(pg_catalog.>) 1 then pg_catalog.to_json(pg_catalog.format('%%s', %1$s))
      else pg_catalog.to_json(array(
        select case when pg_catalog.num_nulls((%1$s)[%2$I]) operator(pg_catalog.=) 0 then pg_catalog.format('%%s', (%1$s)[%2$I]) end
        from pg_catalog.generate_subscripts(%1$s, 1) %2$I)) end$f$, col, i);
  end if;
  return format($f$case when pg_catalog.num_nulls(%1$s) operator(pg_catalog.=) 0 then pg_catalog.format('%%s', %1$s) end$f$, col);
end $$;

-- Which settings of the writer change the text of a value: timezone, floats, bytea, interval, dates, money; or all, for
-- types that this list does not know. A type on its own is told from one inside a range, since json writes dates its own way.
create function listenql.sways(type oid, inside boolean default false) returns text[] language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare t record;
begin
  select p.typtype, p.typbasetype, p.typelem, p.typcategory, p.typname into t from pg_type p where p.oid = type;
  if t.typtype = 'd' then return listenql.sways(t.typbasetype, inside);
  elsif t.typcategory = 'A' and t.typelem <> 0 then return listenql.sways(t.typelem, inside or not listenql.is_builtin(type));
  elsif t.typtype = 'e' then return '{}';
  elsif t.typtype in ('r', 'm') and exists (select from pg_range where rngtypid = type) then
    return (select listenql.sways(rngsubtype, true) from pg_range where rngtypid = type);
  elsif type >= 16384 then return '{all}';
  elsif t.typname in ('bool', 'char', 'name', 'int8', 'int2', 'int4', 'text', 'oid', 'json', 'jsonb', 'xml', 'bpchar', 'varchar',
      'numeric', 'uuid', 'inet', 'cidr', 'macaddr', 'macaddr8', 'bit', 'varbit', 'time', 'tsvector', 'tsquery', 'jsonpath', 'xid',
      'xid8', 'pg_lsn', 'pg_snapshot', 'txid_snapshot', 'tid', 'cid', 'oidvector', 'int2vector') then return '{}';
  elsif t.typname in ('float4', 'float8', 'point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle') then return '{floats}';
  elsif t.typname = 'timestamptz' then return case when inside then '{timezone,dates}'::text[] else '{timezone}' end;
  elsif t.typname in ('timestamp', 'date') then return case when inside then '{dates}'::text[] else '{}' end;
  elsif t.typname = 'timetz' then return '{dates}';
  elsif t.typname = 'bytea' then return '{bytea}';
  elsif t.typname = 'interval' then return '{interval}';
  elsif t.typname = 'money' then return '{money}';
  end if;
  return '{all}'; -- regclass and its like depend on search_path
end $$;

-- Columns whose SQL holds for one type only: arrays of types of others are taken apart, and virtual generated columns, null
-- in transition tables, are computed (they can use functions and types of Postgres itself only).
create function listenql.is_delicate(a pg_attribute) returns boolean language sql volatile set search_path = pg_catalog, pg_temp as $$
  select coalesce(to_jsonb(a) ->> 'attgenerated' = 'v', false) or (not listenql.is_builtin(a.atttypid)
    and exists (select from pg_type t where t.oid = a.atttypid and t.typcategory = 'A' and t.typelem <> 0)) $$;

-- The columns of a table as one number.
create function listenql.shape(target oid) returns numeric language sql volatile set search_path = pg_catalog, pg_temp as $$
  select coalesce(sum(hashtextextended(a.attname::text, (a.attnum::bigint << 48) # (a.atttypid::bigint << 16)
    # (a.atttypmod::bigint * 2 + a.attnotnull::int))), 0) from pg_attribute a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped $$;

-- The columns of a table as an object of nulls, for comparison with a transition table.
create function listenql.names(target oid) returns text language sql volatile set search_path = pg_catalog, pg_temp as $$
  select '{' || coalesce(string_agg(to_json(a.attname::text)::text || ':null', ',' order by a.attnum), '') || '}'
  from pg_attribute a where a.attrelid = target and a.attnum > 0 and not a.attisdropped $$;

-- Whether a table is as capture_OID was written for it.
create function listenql.is_same(target oid, shape numeric, key oid) returns boolean language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
begin
  return listenql.shape(target) = shape and (key is null or exists (select from pg_index where indexrelid = key and indisprimary));
end $$;

-- The same, evaluated when the SQL in capture_OID is planned and not when it runs: it is immutable only in name. Any change
-- of the table throws the plan away, so that it costs nothing from then on and is never stale: is_same is volatile, so it
-- looks with a snapshot taken now, after the table was locked. Under REPEATABLE READ it looks with an older one, which sees
-- catalogue rows that others have replaced since; their xmax tells. Being called then, it also keeps JIT out of the plan, to
-- the end of this transaction: a plan that is made for a bulk statement would compile itself at every single row later on.
create function listenql.fits(target oid, shape numeric, key oid) returns boolean language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('jit', 'off', true);
  return listenql.is_same(target, shape, key) and (current_setting('transaction_isolation') = 'read committed' or not (
    exists (select from pg_class where oid = target and xmax::text <> '0')
    or exists (select from pg_attribute where attrelid = target and xmax::text <> '0')
    or exists (select from pg_index where indexrelid = key and xmax::text <> '0')));
end $$;

-- The primary key by which rows are paired; null if there is none. Not one that is checked at commit only: its values need
-- not be unique within a statement. Nor that of a table with inheritance children, which is not unique over all of them.
create function listenql.key_index(target oid) returns oid language sql volatile set search_path = pg_catalog, pg_temp as $$
  select i.indexrelid from pg_index i join pg_class c on c.oid = i.indrelid
  where i.indrelid = target and i.indisprimary and i.indisvalid and i.indimmediate
    and (c.relkind = 'p' or not exists (select from pg_inherits where inhparent = target)) $$;

create function listenql.key_columns(target oid) returns text[] language sql volatile set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(a.attname::text order by k.i), '{}')
  from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, i)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indexrelid = listenql.key_index(target) $$;

-- The INSERT into the log that a statement on `member` calls for. Columns are those of `root` (a child may have more, a
-- partition may have them in another order), found in `member` by name. The *_sql arguments are SQL.
-- With `guard` the statement can be parsed whatever has become of the columns (a name that is gone is found one level up),
-- and does nothing where the guard is false. Without, each value is looked at: if its type is not what the catalogue said
-- (which may be out of date, see fits) it goes through its output function.
-- It runs under the writer's search_path, with our rights: so everything in it is named in full, operators too, and nothing
-- looks one up by itself, as USING, IN and NULLIF do.
create function listenql.capture_sql(op text, root oid, member oid, generation_sql text, slot_sql text, statement_sql text,
    guard text default null) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  a text := '_lq_r'; cols text; nulls text; keys text; head text; up text; down text; old_rows text; new_rows text; whole boolean;
  tail text := coalesce(' where ' || guard, '');
begin
  -- `row_to_json(x)` means the column x if there is one.
  while exists (select from pg_attribute where attrelid in (root, member) and attname in (a, a || 'i')) loop a := a || '_'; end loop;
  head := format('insert into listenql.event (slot, statement, kind, topic, generation, operation, old, new) select %s, %s, %L, %L, %s, ',
    slot_sql, statement_sql, 't', root::text, generation_sql);
  if op = 'TRUNCATE' then return head || quote_literal('T') || ', null, null'; end if;
  select string_agg(format('%s as %I',
      case when to_jsonb(m) ->> 'attgenerated' = 'v'
        then (select '(' || pg_get_expr(d.adbin, d.adrelid) || ')' from pg_attrdef d where d.adrelid = member and d.adnum = m.attnum)
        when guard is null and listenql.is_builtin(m.atttypid)
        then format('case when pg_catalog.pg_typeof(%1$I)::pg_catalog.oid operator(pg_catalog.=) %2$s::pg_catalog.oid '
          'then pg_catalog.to_json(%1$I) else pg_catalog.to_json(pg_catalog.format(%3$L, %1$I)) end', m.attname, m.atttypid, '%s')
        else listenql.value_sql(quote_ident(m.attname), m.atttypid, a || 'i') end, m.attname), ', ' order by r.attnum),
      string_agg(format('null::pg_catalog.text as %I', m.attname), ', '),
      root = member and guard is not null and coalesce(bool_and(listenql.is_builtin(m.atttypid)), true)
    into cols, nulls, whole
    from pg_attribute r join pg_attribute m on m.attrelid = member and m.attname = r.attname and m.attnum > 0
    where r.attrelid = root and r.attnum > 0 and not r.attisdropped and not m.attisdropped;
  select string_agg(format('pg_catalog.format(%L, %I) collate pg_catalog."C"', '%s', k.col), ', ' order by k.i) into keys
    from unnest(listenql.key_columns(root)) with ordinality k(col, i);
  if cardinality(listenql.key_columns(root)) > 1 then keys := 'array[' || keys || ']'; end if;
  if whole then -- the row as it is: less to do for each, and only the key has names
    select string_agg(format('null::pg_catalog.text as %I', k.col), ', ') into nulls
      from unnest(case when op = 'UPDATE' then listenql.key_columns(root) else '{}' end) k(col);
  end if;
  up := case when guard is not null and nulls is not null then format('(select %s) _lq_up cross join lateral ', nulls) else '' end;
  up := up || format('(select pg_catalog.row_to_json(%I)::pg_catalog.text as image%s from ', a, case when op = 'UPDATE' then ', ' || keys || ' as key' end)
    || case when whole then '' else format('(select %s from ', coalesce(cols, '')) end;
  down := case when whole then '' else format(' %I)', a) end || format(' %I) _lq_i', a);
  old_rows := up || '_lq_old' || down;
  new_rows := up || '_lq_new' || down;
  if op = 'INSERT' then return head || format('%L, null, _lq_i.image from ', 'I') || new_rows || tail;
  elsif op = 'DELETE' then return head || format('%L, _lq_i.image, null from ', 'D') || old_rows || tail;
  end if;
  head := head || format('case when _lq_o.image is null then %L when _lq_n.image is null then %L else %L end, _lq_o.image, _lq_n.image', 'I', 'D', 'U');
  -- FULL, because a cached plan for one row would be a nested loop.
  if keys is not null then -- by the text of the key: it is what a client has
    return head || format(' from (select _lq_i.image, _lq_i.key from %s) _lq_o full join (select _lq_i.image, _lq_i.key from %s) _lq_n '
      'on _lq_o.key operator(pg_catalog.=) _lq_n.key', old_rows, new_rows) || tail;
  end if;
  -- Both tables are filled in the same order. A partition's trigger may have swallowed a row: then nothing is paired.
  return head || format(' from (select _lq_i.image, pg_catalog.row_number() over () as i from %s) _lq_o '
    'full join (select _lq_i.image, pg_catalog.row_number() over () operator(pg_catalog.+) '
    'case when (select pg_catalog.count(*) from _lq_old) operator(pg_catalog.=) (select pg_catalog.count(*) from _lq_new) then 0 '
    'else (select pg_catalog.count(*) from _lq_old) end as i from %s) _lq_n on _lq_o.i operator(pg_catalog.=) _lq_n.i',
    old_rows, new_rows) || tail || ' order by coalesce(_lq_o.i, _lq_n.i)';
end $$;

-- Takes the newest statement of a kind from the stack, 1 if there is none, and leaves its number in listenql.number as well,
-- where the SQL that logs looks for it: with a variable in it that SQL would not be planned once and for all.
create function listenql.take(tag pg_catalog.text) returns int language plpgsql as $$
declare
  stack pg_catalog.text := pg_catalog.current_setting('listenql.statement', true);
  place int := pg_catalog.strpos(stack, pg_catalog.concat(';', tag, '='));
  n pg_catalog.text := '1';
begin
  if place operator(pg_catalog.>) 0 then
    n := pg_catalog.split_part(pg_catalog.substr(stack, place operator(pg_catalog.+) pg_catalog.length(tag) operator(pg_catalog.+) 2), ';', 1);
    stack := pg_catalog.set_config('listenql.statement', pg_catalog.concat(pg_catalog.left(stack, place), pg_catalog.substr(stack,
      place operator(pg_catalog.+) pg_catalog.length(tag) operator(pg_catalog.+) pg_catalog.length(n) operator(pg_catalog.+) 3)), true);
  end if;
  return pg_catalog.set_config('listenql.number', n, true)::int;
end $$;

-- Sets all that changes the text of values, and how names are found; returns what was there. Everything under its full name,
-- since it begins under the writer's search_path.
create function listenql.pin() returns pg_catalog.text[] language plpgsql as $$
declare
  former pg_catalog.text[] := array[
    pg_catalog.current_setting('search_path'), pg_catalog.current_setting('timezone'), pg_catalog.current_setting('datestyle'),
    pg_catalog.current_setting('intervalstyle'), pg_catalog.current_setting('extra_float_digits'),
    pg_catalog.current_setting('bytea_output'), pg_catalog.current_setting('lc_monetary'),
    pg_catalog.current_setting('quote_all_identifiers'), pg_catalog.current_setting('jit')];
begin
  perform listenql.unpin('{"pg_catalog, pg_temp",UTC,"ISO, YMD",iso_8601,1,hex,C,off,off}');
  return former;
end $$;

create function listenql.unpin(former pg_catalog.text[]) returns void language plpgsql as $$
begin
  perform pg_catalog.set_config('search_path', former[1], true), pg_catalog.set_config('timezone', former[2], true),
    pg_catalog.set_config('datestyle', former[3], true), pg_catalog.set_config('intervalstyle', former[4], true),
    pg_catalog.set_config('extra_float_digits', former[5], true), pg_catalog.set_config('bytea_output', former[6], true),
    pg_catalog.set_config('lc_monetary', former[7], true), pg_catalog.set_config('quote_all_identifiers', former[8], true),
    pg_catalog.set_config('jit', former[9], true);
end $$;

-- (Re)writes the two functions of a table. What they run under is the writer's search_path, so everything is named in full.
--
-- number_OID, BEFORE STATEMENT, draws the statement number by which a transaction's events are ordered: AFTER STATEMENT
-- triggers fire after nested statements, so a row trigger that updates its own table would log its UPDATE before the INSERT.
-- A statement that starts while the transaction has no xid has number 1 and leaves no trace: whatever is logged before it ends
-- is logged by statements inside of it. The others draw from setting listenql.statement, which is local to the transaction and
-- goes back with a savepoint. It holds the last number that was drawn and the statements that are under way, newest first:
-- `4;UPDATE16384=4;INSERT16384=2;`. A stack by operation and table, and not a value by depth: a foreign key's cascade fires
-- BEFORE at another depth than AFTER, and a function called in a statement may change the same table at the same depth. Who
-- writes the setting by hand disturbs the order of his own events only.
-- Its trigger's name sorts last, so that what other BEFORE STATEMENT triggers do comes before. One order cannot be told: a
-- BEFORE ROW trigger that changes rows which the same statement writes as well is logged after that statement.
--
-- capture_OID, AFTER STATEMENT, logs. Its SQL is written once, for the columns as they are, and planned once in a session.
-- Where they are different (ALTER TABLE a moment ago) the SQL is made afresh, and the events carry the next generation.
--
-- A writer pays for each expression in here with every transaction, and for a SET of the function several times over. So the
-- ordinary case comes first: number 1, under settings that make no difference to the columns' types.
create function listenql.write_functions(root oid, member oid, generation int) returns void language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare
  part boolean := root <> member;
  same text := format('(%s, %s, %s)', member, listenql.shape(member), coalesce(listenql.key_index(root)::text, 'null'));
  delicate boolean := exists (select from pg_attribute p where p.attrelid = member and p.attnum > 0 and listenql.is_delicate(p));
  ways text[] := (select array_agg(distinct w) from pg_attribute a, unnest(listenql.sways(a.atttypid)) w
    where a.attrelid = member and a.attnum > 0 and not a.attisdropped);
  pinned boolean := delicate or coalesce('all' = any (ways), false); -- by the function itself
  slot_sql text := $sql$(pg_catalog.pg_sequence_last_value('listenql.head') operator(pg_catalog.&) 3)::pg_catalog.int2$sql$;
  usual text; pin text; unpin text; wrap text; guard text; first text; second text; op text;
begin
  execute format('create or replace function listenql.%I() returns trigger language plpgsql as %L', 'number_' || member, format($body$
declare
  stack pg_catalog.text;
  n int := 2;
begin
  if pg_catalog.pg_current_xact_id_if_assigned() is not null or tg_op operator(pg_catalog.=) 'TRUNCATE' then
    stack := pg_catalog.current_setting('listenql.statement', true);
    if stack operator(pg_catalog.<>) '' then
      n := pg_catalog.split_part(stack, ';', 1)::int operator(pg_catalog.+) 1;
    end if;
    stack := pg_catalog.set_config('listenql.statement', pg_catalog.concat(n, ';', tg_op, '%s=', %s, ';',
      pg_catalog.substr(stack, pg_catalog.strpos(stack, ';') operator(pg_catalog.+) 1)), true);
  end if;
  return null;
end$body$, member, case when not part then 'n' else format( -- 0: the root is being truncated, which says it all
    $sql$case when tg_op operator(pg_catalog.=) 'TRUNCATE' and pg_catalog.strpos(stack, ';TRUNCATE%s=') operator(pg_catalog.>) 0 then 0 else n end$sql$,
    root) end));

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
    -- Delicate columns: asked in a query on the table, so that it is asked again when the table has changed.
    wrap := case when delicate then format('if exists (select from %s where listenql.fits%s) then %%s; end if;', case op when 'DELETE' then '_lq_old' else '_lq_new' end, same)
      else '%s;' end;
    guard := case when not delicate then 'listenql.fits' || same end;
    first := concat(first, format($body$
  %s tg_op operator(pg_catalog.=) %L and tg_relid operator(pg_catalog.=) %s::pg_catalog.oid
      and (pg_catalog.current_setting('listenql.statement', true) operator(pg_catalog.=) '') is not false%s then
    $body$ || wrap, case op when 'INSERT' then 'if' else 'elsif' end, op, member, usual,
      listenql.capture_sql(op, root, member, generation::text, slot_sql, '1', guard)));
    second := concat(second, format($body$
    elsif tg_op operator(pg_catalog.=) %L and tg_relid operator(pg_catalog.=) %s::pg_catalog.oid then
      $body$ || wrap, op, member, listenql.capture_sql(op, root, member, generation::text, '(select ' || slot_sql || ')',
        $sql$(select pg_catalog.current_setting('listenql.number')::pg_catalog.int4)$sql$, guard)));
  end loop;

  execute format('create or replace function listenql.%I() returns trigger language plpgsql security definer %s as %L',
    'capture_' || member, case when pinned then
      $sql$set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601'
      set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off set jit = off$sql$ end,
    format($body$
#variable_conflict use_column
<<_lq>>
declare
  number int;
  former pg_catalog.text[];
  image pg_catalog.text;
  again boolean;
begin%s
  else
    number := listenql.take(tg_op operator(pg_catalog.||) %L);%s
    if tg_op operator(pg_catalog.=) 'TRUNCATE' then
      if number operator(pg_catalog.>) 0 then
        %s;
      end if;%s
    end if;%s
  end if;
  if not found or pg_catalog.pg_sequence_last_value('listenql.armed') operator(pg_catalog.>) pg_catalog.pg_sequence_last_value('listenql.cleared') then
    if found then perform listenql.ring();
    elsif tg_op operator(pg_catalog.=) 'DELETE' then again := exists (select from _lq_old);
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
    execute listenql.capture_sql(tg_op, %s, tg_relid, '$3', '$1', '$2')
      using %s, coalesce(number, 1), case when listenql.is_same%s then %s else %s end;
    perform listenql.unpin(former);
    again := listenql.ring();
  end if;
  return null;
end$body$,
    first, member::text, E'\n    if not (true' || usual || ') then ' || pin || ' end if;',
    listenql.capture_sql('TRUNCATE', root, member, (case when part then generation + 1 else generation end)::text, slot_sql, 'number'),
    second, E'\n    if former is not null then ' || unpin || ' end if;', root, slot_sql, same, generation, generation + 1));
  execute format('revoke all on function listenql.%I(), listenql.%I() from public', 'number_' || member, 'capture_' || member);
end $$;
