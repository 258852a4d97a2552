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
    return format($f$case when num_nulls(%1$s) = 1 then null when array_ndims(%1$s) > 1 then to_json(format('%%s', %1$s))
      else to_json(array(select case when num_nulls((%1$s)[%2$I]) = 0 then format('%%s', (%1$s)[%2$I]) end
        from generate_subscripts(%1$s, 1) %2$I)) end$f$, col, i);
  end if;
  return format($f$case when num_nulls(%1$s) = 0 then format('%%s', %1$s) end$f$, col);
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
-- catalogue rows that others have replaced since; their xmax tells.
create function listenql.fits(target oid, shape numeric, key oid) returns boolean language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
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
create function listenql.capture_sql(op text, root oid, member oid, generation_sql text, slot_sql text, statement_sql text,
    guard text default null) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  a text := '_lq_r'; cols text; nulls text; keys text; head text; up text := ''; old_rows text; new_rows text;
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
        then format('case when pg_typeof(%1$I)::oid = %2$s then to_json(%1$I) else to_json(format(%3$L, %1$I)) end', m.attname, m.atttypid, '%s')
        else listenql.value_sql(quote_ident(m.attname), m.atttypid, a || 'i') end, m.attname), ', ' order by r.attnum),
      string_agg(format('null::text as %I', m.attname), ', ')
    into cols, nulls
    from pg_attribute r join pg_attribute m on m.attrelid = member and m.attname = r.attname and m.attnum > 0
    where r.attrelid = root and r.attnum > 0 and not r.attisdropped and not m.attisdropped;
  if guard is not null then up := format('(select %s) _lq_up cross join lateral ', coalesce(nulls, '')); end if;
  old_rows := up || format('(select %s from _lq_old %I) %2$I', coalesce(cols, ''), a);
  new_rows := up || format('(select %s from _lq_new %I) %2$I', coalesce(cols, ''), a);
  if op = 'INSERT' then return head || format('%L, null, row_to_json(%I)::text from %s', 'I', a, new_rows) || tail;
  elsif op = 'DELETE' then return head || format('%L, row_to_json(%I)::text, null from %s', 'D', a, old_rows) || tail;
  end if;
  head := head || format('case when _lq_o.image is null then %L when _lq_n.image is null then %L else %L end, _lq_o.image, _lq_n.image', 'I', 'D', 'U');
  select string_agg(format('format(%L, %I.%I)', '%s', a, k.col), ', ' order by k.i) into keys
    from unnest(listenql.key_columns(root)) with ordinality k(col, i);
  -- FULL, because a cached plan for one row would be a nested loop.
  if keys is not null then -- by the text of the key: it is what a client has
    if cardinality(listenql.key_columns(root)) > 1 then keys := 'array[' || keys || ']'; end if;
    return head || format(' from (select row_to_json(%1$I)::text as image, %2$s as key from %3$s) _lq_o '
      'full join (select row_to_json(%1$I)::text as image, %2$s as key from %4$s) _lq_n using (key)', a, keys, old_rows, new_rows) || tail;
  end if;
  -- Both tables are filled in the same order. A partition's trigger may have swallowed a row: then nothing is paired.
  return head || format(' from (select row_to_json(%1$I)::text as image, row_number() over () as i from %2$s) _lq_o '
    'full join (select row_to_json(%1$I)::text as image, row_number() over () '
    '+ case when (select count(*) from _lq_old) = (select count(*) from _lq_new) then 0 else (select count(*) from _lq_old) end as i '
    'from %3$s) _lq_n using (i)', a, old_rows, new_rows) || tail || ' order by i';
end $$;

-- (Re)writes the two functions of a table.
--
-- number_OID, BEFORE STATEMENT, draws the statement number by which a transaction's events are ordered: AFTER STATEMENT
-- triggers fire after nested statements, so a row trigger that updates its own table would log its UPDATE before the INSERT.
-- The number waits on a stack for each operation and table, in a setting that is local to the transaction and goes back
-- with a savepoint. A stack, and not a value by depth: a foreign key's cascade fires BEFORE at another depth than AFTER,
-- and a function called in a statement may change the same table at the same depth. Its trigger's name sorts last, so that
-- what other BEFORE STATEMENT triggers do comes before. One order cannot be told: a BEFORE ROW trigger that changes rows which
-- the same statement writes as well is logged after that statement.
--
-- capture_OID, AFTER STATEMENT, logs. Its SQL is written once, for the columns as they are, and planned once in a session.
-- Where they are different (ALTER TABLE a moment ago) the SQL is made afresh, and the events carry the next generation.
create function listenql.write_functions(root oid, member oid, generation int) returns void language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare
  part boolean := root <> member;
  same text := format('(%s, %s, %s)', member, listenql.shape(member), coalesce(listenql.key_index(root)::text, 'null'));
  delicate boolean := exists (select from pg_attribute p where p.attrelid = member and p.attnum > 0 and listenql.is_delicate(p));
  body text := ''; op text;
begin
  execute format('create or replace function listenql.%I() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp as %L', 'number_' || member, format($body$
declare
  stack text := 'listenql.' || lower(left(tg_op, 1)) || tg_relid;
  done text := set_config('listenql.statement', (coalesce(nullif(current_setting('listenql.statement', true), ''), '0')::int + 1)::text, true);
begin
  %s
  done := set_config(stack, done || ' ' || coalesce(current_setting(stack, true), ''), true);
  return null;
end$body$, case when part then format( -- 0: the root is being truncated, which says it all
  'if tg_op = %L and coalesce(current_setting(%L, true), %L) <> %L then done := %L; end if;',
  'TRUNCATE', 'listenql.t' || root, '', '', '0') end));

  foreach op in array array['INSERT', 'UPDATE', 'DELETE'] loop
    body := body || format($body$
  %1$s tg_op = %2$L then
    if tg_relid = %3$s%4$s then
      %5$s;
      get diagnostics logged = row_count;
    end if;
    if logged = 0 then again := exists (select from %6$s); end if;$body$,
      case op when 'INSERT' then 'if' else 'elsif' end, op, member, case when delicate then ' and listenql.fits' || same end,
      listenql.capture_sql(op, root, member, generation::text, '_lq.slot', '_lq.statement',
        case when not delicate then 'listenql.fits' || same end),
      case op when 'DELETE' then '_lq_old' else '_lq_new' end);
  end loop;

  execute format('create or replace function listenql.%I() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set timezone = %L set datestyle = %L set intervalstyle = %L set extra_float_digits = 1
    set bytea_output = %L set lc_monetary = %L set quote_all_identifiers = off set jit = off
    set plan_cache_mode = force_generic_plan as %L', 'capture_' || member, 'UTC', 'ISO, YMD', 'iso_8601', 'hex', 'C', format($body$
#variable_conflict use_column
<<_lq>>
declare
  slot smallint := pg_sequence_last_value('listenql.head') & 3;
  stack text := 'listenql.' || lower(left(tg_op, 1)) || tg_relid;
  numbers text := current_setting(stack, true);
  statement int;
  logged bigint := 0;
  again boolean := false;
  done text;
begin
  if numbers <> '' then
    statement := split_part(numbers, ' ', 1);
    done := set_config(stack, substr(numbers, strpos(numbers, ' ') + 1), true);
  else -- our BEFORE trigger did not fire
    statement := coalesce(nullif(current_setting('listenql.statement', true), '')::int, 0) + 1;
    done := set_config('listenql.statement', statement::text, true);
  end if;%1$s
  elsif statement > 0 then
    %2$s;
    logged := 1;
  end if;
  if again then
    if current_setting('transaction_isolation') <> 'read committed' then
      execute format('select row_to_json(x)::text from (select n.* from (select 1) o left join (select * from _lq_%%s limit 0) n on true) x',
        case tg_op when 'DELETE' then 'old' else 'new' end) into done;
      if done <> listenql.names(tg_relid) then
        raise exception 'listenql: table %% was altered after the snapshot of this transaction', tg_relid::regclass
          using errcode = 'serialization_failure', hint = 'Try the transaction again.';
      end if;
    end if;
    execute listenql.capture_sql(tg_op, %3$s, tg_relid, '$3', '$1', '$2')
      using _lq.slot, _lq.statement, case when listenql.is_same%4$s then %5$s else %5$s + 1 end;
    logged := 1;
  end if;
  if logged > 0 and pg_sequence_last_value('listenql.armed') > pg_sequence_last_value('listenql.cleared') then
    again := listenql.ring();
  end if;
  return null;
end$body$, body,
    listenql.capture_sql('TRUNCATE', root, member, (case when part then generation + 1 else generation end)::text, '_lq.slot', '_lq.statement'),
    root, same, generation));
  execute format('revoke all on function listenql.%I(), listenql.%I() from public', 'number_' || member, 'capture_' || member);
end $$;
