-- What values mean, more exactly: generated columns of partitions and children count, and a wider type is no other meaning. Keys
-- that are arrays: two that differ only in their bounds look different in images. And one size for values that are left out.

-- The tables that are as the last look found them: an upgrade begins no new history. (No temporary table: that takes a right.)
create table listenql.upgrade as
  select w.relid::oid as relid, w.generation from listenql.watched_table w
  where w.since_n is not null and w.fingerprint = listenql.fingerprint(w.relid);

-- The type below all domains.
create function listenql.base_type(type oid) returns oid language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare t record;
begin
  loop
    select p.typtype, p.typbasetype into t from pg_type p where p.oid = type;
    exit when t.typtype is distinct from 'd';
    type := t.typbasetype;
  end loop;
  return type;
end $$;

-- What computes a generated column; null: nothing.
create function listenql.expression_of(a pg_attribute) returns text language sql volatile set search_path = pg_catalog, pg_temp as $$
  select concat_ws(' ', (a).attgenerated, d.adbin::text, (select string_agg(p.oid || ' ' || p.xmin, ',' order by p.oid)
      from pg_depend e join pg_proc p on p.oid = e.refobjid
      where e.classid = 'pg_attrdef'::regclass and e.objid = d.oid and e.refclassid = 'pg_proc'::regclass and (a).attgenerated::text = 'v'))
  from pg_attrdef d where d.adrelid = (a).attrelid and d.adnum = (a).attnum and (a).attgenerated <> '' $$;

-- What the values of a table's columns mean, by column.
-- is: changes with the type below all domains and all that this is made of, the collation, a generated column's expression, and
--   when the column takes the name of another. Not with a length, a scale or a precision, nor between text and varchar: what is
--   stored has the same text under both types, unless Postgres rewrites the table.
-- at: changes with every change of the column, and counts if the table was rewritten (ALTER ... TYPE ... USING, a shorter length).
-- labels: of enums, to be compared one by one: one that is new changes no value.
-- parts: by partition or child, the expression that computes the stored column there, which need not be that of the root. Virtual
--   columns are those of the table that a query names: of the root.
create or replace function listenql.columns_now(root oid) returns jsonb language sql volatile set search_path = pg_catalog, pg_temp as $$
  with part as materialized (
    select a.attname, jsonb_object_agg(m, md5(listenql.expression_of(a))) as expressions
    from listenql.members(root) m join pg_attribute a on a.attrelid = m and a.attnum > 0 and not a.attisdropped and a.attgenerated = 's'
    where m <> root group by a.attname)
  select coalesce(jsonb_object_agg(a.attname, jsonb_build_object('at', a.xmin::text,
    'is', md5(concat_ws(' ', a.attnum, case when b.type = 'varchar'::regtype then 'text'::regtype::oid else b.type end, a.attcollation,
      a.attgenerated, case when a.attgenerated <> '' then listenql.expression_of(a) end,
      case when b.type >= 16384 then (
        select string_agg(concat_ws(' ', t.oid, t.typbasetype, t.typtypmod, t.typcollation, t.typelem,
            (select string_agg(concat_ws(' ', f.attnum, f.attname, f.atttypid, f.atttypmod), ',' order by f.attnum) from pg_attribute f
              where f.attrelid = t.typrelid and t.typrelid <> 0 and f.attnum > 0 and not f.attisdropped)), ';' order by t.oid)
        from listenql.parts_of(b.type) o join pg_type t on t.oid = o) end)),
    'labels', case when b.type >= 16384 then (select jsonb_object_agg(e.oid::text, e.enumlabel::text) from pg_enum e
      where e.enumtypid in (select listenql.parts_of(b.type))) end,
    'parts', p.expressions)), '{}')
  from pg_attribute a cross join lateral (select case when a.atttypid < 16384 then a.atttypid else listenql.base_type(a.atttypid) end as type) b left join part p on p.attname = a.attname
  where a.attrelid = root and a.attnum > 0 and not a.attisdropped $$;

-- As in 0010, with the parts that are there now and were before: one that came or went is another matter, see look_at().
create or replace function listenql.changed_columns(before jsonb, now jsonb, rewritten boolean) returns text[] language sql volatile
  set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(n.key order by n.key), '{}') from jsonb_each(now) n join jsonb_each(before) b on b.key = n.key
  where n.value ->> 'is' <> b.value ->> 'is' or (rewritten and n.value ->> 'at' <> b.value ->> 'at')
    or exists (select from jsonb_each_text(nullif(b.value -> 'labels', 'null')) l where n.value -> 'labels' ->> l.key is distinct from l.value)
    or exists (select from jsonb_each_text(nullif(b.value -> 'parts', 'null')) p where n.value -> 'parts' ->> p.key <> p.value) $$;

-- As in 0010, with the parts' expressions in `print`.
create or replace function listenql.look_at(root oid, out print text, out guard text, out columns jsonb, out files text, out names text[])
  language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare parts oid[] := array(select listenql.members(root));
begin
  select md5(concat(listenql.obstacle(root, parts), string_agg(concat(m.relid, ':',
      (select string_agg(i.inhparent || ' ' || i.xmin, ',' order by i.inhparent) from pg_inherits i where i.inhrelid = m.relid), ':',
      (select string_agg(t.tgname || t.tgenabled::text || t.xmin::text, ',' order by t.tgname) from pg_trigger t
        join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace where t.tgrelid = m.relid)), ';' order by m.relid)))
    into guard from unnest(parts) m(relid);
  -- The files as they were before and after the columns were looked at, or a rewrite in between would have the old columns.
  loop
    select md5(string_agg(c.relfilenode::text, ' ' order by c.oid)) into files from pg_class c where c.oid = any (parts);
    columns := listenql.columns_now(root);
    exit when files is not distinct from (select md5(string_agg(c.relfilenode::text, ' ' order by c.oid)) from pg_class c where c.oid = any (parts));
  end loop;
  select md5(concat(guard, listenql.key_index(root), string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull),
      ',' order by a.attrelid, a.attnum), (select string_agg(concat(c.key, '=', c.value ->> 'is', c.value -> 'parts'), ';' order by c.key) from jsonb_each(columns) c),
      -- The functions are written for the foreign keys that write to a table by themselves.
      (select string_agg(m || listenql.cascades(m), ';' order by m) from unnest(parts) m where listenql.cascades(m) <> '')))
    into print from pg_attribute a where a.attrelid = any (parts) and a.attnum > 0 and not a.attisdropped;
  select array[n.nspname::text, c.relname::text] into names from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = root;
end $$;

-- As in 0004, with one look for the index instead of one for each index of the database.
create or replace function listenql.key_columns(target oid) returns text[] language sql volatile set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(a.attname::text order by k.i), '{}')
  from pg_index i cross join lateral unnest(i.indkey::int2[]) with ordinality k(attnum, i)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
  where i.indexrelid = (select listenql.key_index(target)) $$;

create function listenql.is_array(type oid) returns boolean language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_type t where t.oid = listenql.base_type(type) and t.typcategory = 'A' and t.typelem <> 0) $$;

-- The value of a key's column for an image, which is `value` otherwise: an array is a text where Postgres writes its bounds, since
-- one of them does not begin at 1. Postgres compares bounds, JSON has none: '{1,2}' and '[0:1]={1,2}' are two keys, and a client that
-- reads [1,2] for both removes the wrong row. The text equals no list, and servers show none for it, as for several dimensions.
create function listenql.key_value_sql(col text, type oid, value text) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  if not listenql.is_array(type) then return value; end if;
  return format('case when pg_catalog.left(pg_catalog.format(%1$L, %2$s), 1) operator(pg_catalog.=) %3$L '
    'then pg_catalog.to_json(pg_catalog.format(%1$L, %2$s)) else pg_catalog.to_json(%4$s) end', '%s', col, '[', value);
end $$;

-- As in 0009, with key_value_sql(). A virtual column has the root's expression, as in `select` from the root.
create or replace function listenql.column_values(root oid, member oid, alias text, checked boolean)
  returns table (place int, name name, value text, type oid, large boolean) language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare keys text[] := listenql.key_columns(root);
begin
  return query select r.attnum::int, m.attname,
      case when m.attname = any (keys) then listenql.key_value_sql(quote_ident(m.attname), m.atttypid, v.sql) else v.sql end,
      m.atttypid, listenql.may_be_large(m)
    from pg_attribute r join pg_attribute m on m.attrelid = member and m.attname = r.attname and m.attnum > 0
    cross join lateral (select case when to_jsonb(m) ->> 'attgenerated' = 'v'
        then (select '(' || pg_get_expr(d.adbin, d.adrelid) || ')' from pg_attrdef d where d.adrelid = root and d.adnum = r.attnum)
        when checked and listenql.is_builtin(m.atttypid)
        then format('case when pg_catalog.pg_typeof(%1$I)::pg_catalog.oid operator(pg_catalog.=) %2$s::pg_catalog.oid '
          'then pg_catalog.to_json(%1$I) else pg_catalog.to_json(pg_catalog.format(%3$L, %1$I)) end', m.attname, m.atttypid, '%s')
        else listenql.value_sql(quote_ident(m.attname), m.atttypid, alias || 'i') end as sql) v
    where r.attrelid = root and r.attnum > 0 and not r.attisdropped and not m.attisdropped;
end $$;

-- As in 0009, with key_value_sql().
create or replace function listenql.large_sql(root oid, member oid, alias text, checked boolean, images boolean) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare keys text[] := listenql.key_columns(root);
begin
  return (select format('select %s as %I' || case when images then ', listenql.large_image(array[%s], array[%s]) as %I' else '' end,
      string_agg(format('coalesce(pg_catalog.pg_column_size(%I), 0)', v.name), ' operator(pg_catalog.+) ' order by v.place) filter (where v.large),
      alias || 'z',
      string_agg(quote_literal(to_json(v.name::text)::text), ', ' order by v.place),
      string_agg(case when v.large then format('listenql.large_value(%I, %L, %s)', v.name,
          format('select pg_catalog.to_json(%s)::pg_catalog.text from (select $1 as v) x',
            case when v.name = any (keys) then listenql.key_value_sql('v', v.type, listenql.value_sql('v', v.type, 'i'))
              else listenql.value_sql('v', v.type, 'i') end),
          least(134217728, 939524096 / count_large)) -- all of them are in one array, of at most 1 GB
        else format('pg_catalog.to_json(%s)::pg_catalog.text', v.value) end, ', ' order by v.place),
      alias || 'c')
    from (select *, count(*) filter (where c.large) over () as count_large from listenql.column_values(root, member, alias, checked) c) v
    having count(*) filter (where v.large) > 0);
end $$;

-- As in 0009; a row whose key has an array is not logged as it is.
create or replace function listenql.log_sql(op text, root oid, member oid, generation_sql text, slot_sql text, statement_sql text, guard text,
    by_place boolean) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  a text := listenql.free_alias(root, member);
  tail text := coalesce(' where ' || guard, '');
  large text := listenql.large_sql(root, member, a, guard is null, guard is null);
  key_cols text[] := listenql.key_columns(root);
  cols text; nulls text; keys text; head text; up text; down text; old_rows text; new_rows text; whole boolean; placed text;
begin
  head := format('insert into listenql.event (slot, statement, kind, topic, generation, operation, old, new) select %s, %s, %L, %L, %s, ',
    slot_sql, statement_sql, 't', root::text, generation_sql);
  if op = 'TRUNCATE' then return head || quote_literal('T') || ', null, null'; end if;
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
        case when guard is null then '%2$I.%3$I' else 'pg_catalog.set_config(''listenql.large'', ''1'', true)' end || ' end' end,
      a, a || 'z', a || 'c'), case when op = 'UPDATE' then ', ' || keys || ' as key' end)
    || case when whole or large is not null then '' else format('(select %s from ', cols) end;
  down := case when large is null then case when whole then '' else format(' %I)', a) end || format(' %I) _lq_i', a)
    else format(' %I cross join lateral (%s) %I', case when whole then a else a || 'i' end, large, a || 'z')
      || case when whole then '' else format(' cross join lateral (select %s) %I', cols, a) end || ') _lq_i' end;
  old_rows := up || '_lq_old' || down;
  new_rows := up || '_lq_new' || down;
  if op = 'INSERT' then return head || format('%L, null, _lq_i.image from ', 'I') || new_rows || tail;
  elsif op = 'DELETE' then return head || format('%L, _lq_i.image, null from ', 'D') || old_rows || tail;
  end if;
  -- A partition's trigger may have swallowed a row: then nothing is paired by place.
  placed := format(' from (select _lq_i.image%3$s, pg_catalog.row_number() over () as i from %1$s) _lq_o '
    'full join (select _lq_i.image%3$s, pg_catalog.row_number() over () operator(pg_catalog.+) '
    'case when (select pg_catalog.count(*) from _lq_old) operator(pg_catalog.=) (select pg_catalog.count(*) from _lq_new) then 0 '
    'else (select pg_catalog.count(*) from _lq_old) end as i from %2$s) _lq_n on _lq_o.i operator(pg_catalog.=) _lq_n.i',
    old_rows, new_rows, case when keys is not null then ', _lq_i.key' end);
  if keys is not null and by_place then
    return head || '_lq_e.operation, _lq_e.old, _lq_e.new' || placed || format(' cross join lateral ('
      'select %1$L, _lq_o.image, _lq_n.image, 1 where _lq_o.key operator(pg_catalog.=) _lq_n.key '
      'union all select %2$L, _lq_o.image, null, 2 where (_lq_o.key operator(pg_catalog.=) _lq_n.key) is not true and _lq_o.image is not null '
      'union all select %3$L, null, _lq_n.image, 3 where (_lq_o.key operator(pg_catalog.=) _lq_n.key) is not true and _lq_n.image is not null'
      ') _lq_e(operation, old, new, i)', 'U', 'D', 'I') || tail || ' order by coalesce(_lq_o.i, _lq_n.i), _lq_e.i';
  end if;
  head := head || format('case when _lq_o.image is null then %L when _lq_n.image is null then %L else %L end, _lq_o.image, _lq_n.image', 'I', 'D', 'U');
  if keys is not null then -- by the text of the key: it is what a client has
    -- FULL, because a cached plan for one row would be a nested loop.
    return head || format(' from (select _lq_i.image, _lq_i.key from %s) _lq_o full join (select _lq_i.image, _lq_i.key from %s) _lq_n '
      'on _lq_o.key operator(pg_catalog.=) _lq_n.key', old_rows, new_rows) || tail;
  end if;
  return head || placed || tail || ' order by coalesce(_lq_o.i, _lq_n.i)';
end $$;

-- The size in bytes of a value as text, from its JSON: of a string without quotes and escapes, of anything else as it stands.
-- Postgres writes \u00XX for control characters, and escapes of two characters for others.
create function listenql.text_size(image text) returns bigint language sql immutable set search_path = pg_catalog, pg_temp as $$
  select octet_length(s.t)::bigint - case when left(image, 1) = '"' then 2 + (length(s.t) - length(replace(s.t, chr(92), '')))
    + (length(s.t) - length(replace(s.t, chr(92) || 'u', ''))) / 2 * 4 else 0 end
  from (select case when left(image, 1) = '"' then replace(image, chr(92) || chr(92), '.') else image end as t) s $$;

-- As in 0009; the size is always that of the value as text, of a bytea as hexadecimal text.
create or replace function listenql.large_value(value anyelement, sql text, most int) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare image text; size bigint;
begin
  if pg_typeof(value) in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'json'::regtype) then
    size := octet_length(value::text);
  elsif pg_typeof(value) = 'bytea'::regtype then
    size := octet_length(value) * 2::bigint + 2;
  end if;
  if size > most then return '!' || size; end if; -- JSON is no shorter
  begin
    execute sql into image using value;
    if octet_length(image) <= most then return image; end if;
    if image is null then return 'null'; end if;
    return '!' || coalesce(size, listenql.text_size(image));
  exception when others then null;
  end;
  if size is null then
    begin
      size := octet_length(format('%s', value)); -- a cast may be a function of the writer's
    exception when others then
      size := pg_column_size(value);
    end;
  end if;
  return '!' || size;
end $$;

-- As in 0009, with text_size().
create or replace function listenql.large_image(names text[], images text[]) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return (select '{' || string_agg(v.name || ':' || case when v.gone is null then coalesce(v.image, 'null') else 'null' end, ',' order by v.i)
      || coalesce(',"":{' || string_agg(v.name || ':' || v.gone, ',' order by v.i) filter (where v.gone is not null) || '}', '') || '}'
    from (select u.*, case when left(u.image, 1) = '!' then substr(u.image, 2)
        when sum(octet_length(u.image)) over (order by octet_length(u.image), u.i) > 134217728 then listenql.text_size(u.image)::text end as gone
      from unnest(names, images) with ordinality u(name, image, i)) v);
end $$;

revoke all on function listenql.base_type(oid), listenql.expression_of(pg_attribute), listenql.is_array(oid),
  listenql.key_value_sql(text, oid, text), listenql.text_size(text) from public;

-- Tables that have not changed since the last look, also not since this upgrade began: what was noted of their columns is noted in
-- the new way, and functions are written anew where keys have arrays or columns are virtual. The others are left to the next look, which begins a new
-- generation in which the values of every column count as changed.
do $$
declare w record; l record; m oid;
begin
  for w in select t.relid::oid as relid, t.generation, t.guard_print, t.columns, t.files
      from listenql.upgrade u join listenql.watched_table t on t.relid::oid = u.relid and t.generation = u.generation for update of t loop
    select * into l from listenql.look_at(w.relid);
    continue when l.guard is distinct from w.guard_print or l.files is distinct from w.files
      or exists (select from jsonb_each(w.columns) b full join jsonb_each(l.columns) n on n.key = b.key where n.value ->> 'at' is distinct from b.value ->> 'at');
    if exists (select from pg_attribute a where a.attrelid = w.relid and a.attname = any (listenql.key_columns(w.relid)) and listenql.is_array(a.atttypid)
        or a.attrelid = w.relid and a.attgenerated = 'v') then
      for m in select listenql.members(w.relid) loop
        if to_regprocedure(format('listenql.capture_%s()', m)) is not null then
          perform listenql.write_functions(w.relid, m, w.generation);
        end if;
      end loop;
    end if;
    update listenql.watched_table t set fingerprint = l.print, columns = l.columns where t.relid = w.relid;
  end loop;
end $$;
drop table listenql.upgrade;
