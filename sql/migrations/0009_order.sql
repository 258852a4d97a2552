-- The order of changes within one command.
--
-- A command may hold several operations on one table (data-modifying CTEs, MERGE, upserts), call functions that write to the
-- same table while it runs, and set off cascades of foreign keys. What the log needs is the order in which each row changed.
--
-- * The operations of one command share a number n. Their events have statement 4n + 1 (DELETE), 4n + 2 (UPDATE) and 4n + 3
--   (INSERT): a command touches each row once and frees a key before it uses it again, so that this order is right whatever
--   order the executor runs them in. TRUNCATE and publish() have 4n. A command whose first statement trigger fires before the
--   transaction has an xid has n = 0 and leaves no trace: only commands inside of it can log before it ends.
-- * Two operations belong to one command if PL/pgSQL sees the same call stack below their BEFORE STATEMENT triggers while both
--   are under way. The call stack of a nested command has at least one more line; the SQL of a foreign key's cascade is taken
--   off (see level()), so that all cascades of one command count as one command that follows it.
-- * Nested commands have greater numbers. That is right for AFTER triggers, and for whatever meets a row that the outer command
--   has written. It is wrong where a function or a BEFORE trigger freed a key first; and cascades add rows to transition
--   tables of the outer command (AfterTriggers in src/backend/commands/trigger.c keeps one for each table, operation and query
--   level). settle() finds such keys, since their events do not fit together, and makes one event of them.

-- Which foreign keys of a table may write to it by themselves: d, they delete rows; u, they update them.
create function listenql.cascades(target oid) returns text language sql volatile set search_path = pg_catalog, pg_temp as $$
  select concat(case when bool_or(c.confdeltype = 'c') then 'd' end,
    case when bool_or(c.confdeltype in ('n', 'd') or c.confupdtype in ('c', 'n', 'd')) then 'u' end)
  from pg_constraint c where c.conrelid = target and c.contype = 'f' $$;

-- As fits() of 0004, with the foreign keys that the functions of the table were written for.
create function listenql.suits(target oid, shape numeric, key oid, cascades text) returns boolean language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
begin
  return listenql.fits(target, shape, key) and listenql.cascades(target) = cascades;
end $$;

-- Where a statement runs: the depth of triggers, and what is left of the call stack. `context` is PG_CONTEXT of a trigger
-- function, whose first line is that function itself. Inside of triggers a first line "SQL statement" is taken off as well:
-- for a cascade it is the SQL of the foreign key, and what remains is the command that set it off.
create function listenql.level(context pg_catalog.text) returns pg_catalog.text language plpgsql as $$
declare
  line int := pg_catalog.strpos(context, E'\n');
begin
  if line operator(pg_catalog.>) 0 then
    context := pg_catalog.substr(context, line operator(pg_catalog.+) 1);
    if pg_catalog.pg_trigger_depth() operator(pg_catalog.>) 1 then -- whatever it says: it is in the language of lc_messages
      line := pg_catalog.strpos(context, E'\n');
      context := pg_catalog.substr(context, line operator(pg_catalog.+) 1);
    end if;
  end if;
  return pg_catalog.concat(pg_catalog.pg_trigger_depth(), ':', case when line operator(pg_catalog.>) 0 then pg_catalog.hashtext(context) else 0 end);
end $$;

-- Notes a statement that begins, in setting listenql.statement: the last number that was drawn, then the statements under
-- way with the table and the root that it is watched with, newest first: `4;UPDATE16384.16384=4@1:0;INSERT16390.16384=2m@1:7;`. After the number: m, the command has several operations on
-- watched tables; f, a function that it called has written to watched tables at the same depth of triggers; p, an
-- UPDATE of a partitioned table that may be a MERGE; u, the command has operations that left no trace. The setting is local to the transaction and goes back with a savepoint. A writer that sets it by hand disturbs the order of its own events
-- only. listenql.depth is the smallest depth of triggers at which this transaction has drawn a number.
create function listenql.enter(op pg_catalog.text, member pg_catalog.text, root pg_catalog.text, context pg_catalog.text,
    merge pg_catalog.bool) returns int language plpgsql as $$
declare
  stack pg_catalog.text := pg_catalog.current_setting('listenql.statement', true);
  place pg_catalog.text := listenql.level(context);
  depth pg_catalog.text := pg_catalog.pg_trigger_depth()::pg_catalog.text;
  last int := 1;
  n int;
  marks pg_catalog.text := case when merge and op operator(pg_catalog.=) 'UPDATE' then 'p' else '' end;
begin
  if stack operator(pg_catalog.<>) '' then
    last := pg_catalog.split_part(stack, ';', 1)::int;
    if depth::int operator(pg_catalog.<) pg_catalog.concat('0', pg_catalog.current_setting('listenql.depth', true))::int then
      depth := pg_catalog.set_config('listenql.depth', depth, true);
    end if;
  else
    depth := pg_catalog.set_config('listenql.depth', depth, true);
  end if;
  n := last operator(pg_catalog.+) 1;
  if pg_catalog.strpos(stack, '=') operator(pg_catalog.>) 0 then
    if op operator(pg_catalog.=) 'TRUNCATE' and pg_catalog.strpos(stack, pg_catalog.concat(';TRUNCATE', root, '.')) operator(pg_catalog.>) 0 then
      n := 0; -- the root is being truncated, which says it all
    elsif pg_catalog.strpos(stack, pg_catalog.concat('@', place, ';')) operator(pg_catalog.>) 0 then
      n := pg_catalog.substring(stack, pg_catalog.concat('=([0-9]+)[a-z]*@', place, ';'))::int;
      marks := pg_catalog.concat('m', marks);
      stack := listenql.mark_several(stack, place, '');
    elsif pg_catalog.strpos(stack, pg_catalog.concat('@', depth, ':')) operator(pg_catalog.>) 0 then
      stack := pg_catalog.regexp_replace(stack, pg_catalog.concat('=([0-9]+m?)f?(p?u?@', depth, ':)'), E'=\\1f\\2', 'g');
    end if;
  end if;
  stack := pg_catalog.set_config('listenql.statement', pg_catalog.concat(greatest(n, last), ';', op, member, '.', root, '=', n, marks, '@', place, ';',
    pg_catalog.substr(stack, pg_catalog.strpos(stack, ';') operator(pg_catalog.+) 1)), true);
  return n;
end $$;

create function listenql.mark_several(stack pg_catalog.text, place pg_catalog.text, untraced pg_catalog.text) returns pg_catalog.text
  language plpgsql as $$
begin
  return pg_catalog.regexp_replace(stack, pg_catalog.concat('=([0-9]+)m?(f?p?)(u?)@', place, ';'), pg_catalog.concat(E'=\\1m\\2',
    case when untraced operator(pg_catalog.=) '' then E'\\3' else untraced end, '@', place, ';'), 'g');
end $$;

-- Notes that a statement ends, and leaves the number of its events in setting listenql.number, where the SQL that logs looks
-- for it: with a variable in it that SQL would not be planned once and for all. Returns what may have disturbed its order:
-- 1, numbers were drawn while it ran; 4, a function that it called has written; 8, its command has several operations; 16, it
-- left no trace when it began; 32, other operations of its command on this table have not ended yet.
create function listenql.leave(op pg_catalog.text, member pg_catalog.text, root pg_catalog.text, context pg_catalog.text) returns int language plpgsql as $$
declare
  stack pg_catalog.text := pg_catalog.current_setting('listenql.statement', true);
  at int := pg_catalog.strpos(stack, pg_catalog.concat(';', op, member, '.'));
  entry pg_catalog.text;
  n int := 0;
  signs int := 0;
begin
  if at operator(pg_catalog.>) 0 then
    entry := pg_catalog.split_part(pg_catalog.substr(stack, at operator(pg_catalog.+) 1), ';', 1);
    stack := pg_catalog.set_config('listenql.statement', pg_catalog.concat(pg_catalog.left(stack, at),
      pg_catalog.substr(stack, at operator(pg_catalog.+) pg_catalog.length(entry) operator(pg_catalog.+) 2)), true);
    entry := pg_catalog.split_part(pg_catalog.split_part(entry, '=', 2), '@', 1);
    n := pg_catalog.rtrim(entry, 'mfpu')::int;
    if n operator(pg_catalog.<>) pg_catalog.split_part(stack, ';', 1)::int then signs := 1; end if;
    if pg_catalog.strpos(entry, 'f') operator(pg_catalog.>) 0 then signs := signs operator(pg_catalog.|) 4; end if;
    if pg_catalog.strpos(entry, 'm') operator(pg_catalog.>) 0 then signs := signs operator(pg_catalog.|) 8; end if;
    if pg_catalog.strpos(entry, 'u') operator(pg_catalog.>) 0 then signs := signs operator(pg_catalog.|) 17; end if;
  elsif stack operator(pg_catalog.<>) '' then
    signs := 17;
    entry := listenql.level(context);
    if pg_catalog.strpos(stack, pg_catalog.concat('@', entry, ';')) operator(pg_catalog.>) 0 then
      n := pg_catalog.substring(stack, pg_catalog.concat('=([0-9]+)[a-z]*@', entry, ';'))::int;
      signs := 25;
      stack := pg_catalog.set_config('listenql.statement', listenql.mark_several(stack, entry, 'u'), true);
    elsif pg_catalog.concat('0', pg_catalog.current_setting('listenql.depth', true))::int operator(pg_catalog.<=) pg_catalog.pg_trigger_depth() then
      signs := 21;
    end if;
  end if;
  if signs operator(pg_catalog.&) 8 operator(pg_catalog.>) 0 and pg_catalog.strpos(stack, pg_catalog.concat('.', root, '=', n, 'm')) operator(pg_catalog.>) 0 then
    signs := signs operator(pg_catalog.|) 32;
  end if;
  stack := pg_catalog.set_config('listenql.number', (n operator(pg_catalog.*) 4 operator(pg_catalog.+)
    case when op operator(pg_catalog.=) 'DELETE' then 1 when op operator(pg_catalog.=) 'UPDATE' then 2 when op operator(pg_catalog.=) 'INSERT' then 3 else 0 end)::pg_catalog.text, true);
  return signs;
end $$;

-- The key of a row, from its image, to compare it with others. Values of type json may have escapes that Postgres stores and
-- does not read (\u0000, halves of surrogates), so that no operator would find the key beside them: \f is always read.
create function listenql.key_of(image text, keys text[]) returns text language plpgsql immutable
  set search_path = pg_catalog, pg_temp as $$
declare row json := replace(image, chr(92) || 'u', chr(92) || 'f');
begin
  if cardinality(keys) = 1 then return row ->> keys[1]; end if;
  return array(select row ->> k.name from unnest(keys) with ordinality k(name, i) order by k.i)::text;
end $$;

-- Makes one event of the events of a row that do not fit together in their order, from what the row was to what it is: each
-- image that a change left is the image that the next one found, so what is left over once equal images are paired off is the
-- first and the last. If nothing is left over the row is as it was, and there is no event. The same where the order would
-- decide between two such cases: an INSERT and a DELETE of the same image.
-- Looks at rows that the events just logged are of (the `logged` newest ones of statement `own`), and at the events of the
-- same command and of what ran inside of it. own is a multiple of 4: those of all operations of the command. signs: see
-- leave(). cascading: see cascades().
create function listenql.settle(root oid, own int, logged int, op text, signs int, cascading text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  base int := case when signs & 16 > 0 then 0 else own & ~3 end;
  own_to int := case when own & 3 = 0 then own + 3 else own end;
  keys text[] := listenql.key_columns(root);
  first_id bigint;
  starts text[]; ends text[]; image text; at int; r record;
begin
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

-- Whether an UPDATE that was paired by key has reached a key more than once. If so its events (the `logged` newest ones of
-- statement `own`) go: it has to be logged by place.
create function listenql.repeats(root oid, own int, logged int) returns boolean language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  keys text[] := listenql.key_columns(root);
  first_id bigint;
begin
  if cardinality(keys) = 0 or not exists (select from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement = own and e.topic = root::text and e.operation <> 'U') then
    return false;
  end if;
  first_id := min(l.id) from (select e.id from listenql.event e where e.xid = pg_current_xact_id() and e.statement = own
    and e.kind = 't' and e.topic = root::text order by e.id desc limit logged) l;
  if not exists (select from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement = own and e.id >= first_id
      group by listenql.key_of(coalesce(e.new, e.old), keys)
      having count(*) > 1) then
    return false;
  end if;
  delete from listenql.event e where e.xid = pg_current_xact_id() and e.statement = own and e.id >= first_id;
  return true;
end $$;

-- Whether triggers of others run on the table, or on those below it, before it is written to and after it was noted that a
-- statement begins.
create function listenql.has_before(root oid) returns boolean language sql volatile set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_trigger t where t.tgrelid in (select listenql.members(root)) and not t.tgisinternal
    and t.tgtype & 2 > 0 and t.tgenabled <> 'D' and (t.tgtype & 1 > 0 or t.tgname > '~listenql_number')) $$;

-- Whether values of a column may be so large that the image of a row cannot be made: Postgres has texts of up to 1 GB, JSON writes
-- a control character with six, and a whole row is at most 1 GB as well.
create function listenql.may_be_large(a pg_attribute) returns boolean language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare t record; type oid := a.atttypid; modifier int := a.atttypmod;
begin
  loop
    select p.typtype, p.typlen, p.typbasetype, p.typtypmod into t from pg_type p where p.oid = type;
    exit when t.typtype <> 'd';
    type := t.typbasetype;
    modifier := case when modifier < 0 then t.typtypmod else modifier end;
  end loop;
  return coalesce(t.typlen = -1 and type not in ('numeric'::regtype, 'inet'::regtype, 'cidr'::regtype)
    and not (type in ('varchar'::regtype, 'bpchar'::regtype) and modifier between 4 and 4100)
    and to_jsonb(a) ->> 'attgenerated' <> 'v', true);
end $$;

-- The columns of a row for its image: those of `root`, found in `member` by name. As in 0004; `checked`: the type of each value
-- is looked at, since the catalogue may be out of date.
create function listenql.column_values(root oid, member oid, alias text, checked boolean)
  returns table (place int, name name, value text, type oid, large boolean) language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
begin
  return query select r.attnum::int, m.attname,
      case when to_jsonb(m) ->> 'attgenerated' = 'v'
        then (select '(' || pg_get_expr(d.adbin, d.adrelid) || ')' from pg_attrdef d where d.adrelid = member and d.adnum = m.attnum)
        when checked and listenql.is_builtin(m.atttypid)
        then format('case when pg_catalog.pg_typeof(%1$I)::pg_catalog.oid operator(pg_catalog.=) %2$s::pg_catalog.oid '
          'then pg_catalog.to_json(%1$I) else pg_catalog.to_json(pg_catalog.format(%3$L, %1$I)) end', m.attname, m.atttypid, '%s')
        else listenql.value_sql(quote_ident(m.attname), m.atttypid, alias || 'i') end,
      m.atttypid, listenql.may_be_large(m)
    from pg_attribute r join pg_attribute m on m.attrelid = member and m.attname = r.attname and m.attnum > 0
    where r.attrelid = root and r.attnum > 0 and not r.attisdropped and not m.attisdropped;
end $$;

create function listenql.columns_sql(root oid, member oid, alias text, checked boolean) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((select string_agg(format('%s as %I', v.value, v.name), ', ' order by v.place)
    from listenql.column_values(root, member, alias, checked) v), '');
end $$;

-- A value as JSON text; '!' and its size in bytes, where it cannot be had or has more than `most` bytes. STABLE, so that the query
-- around it is planned as if it were not there.
create function listenql.large_value(value anyelement, sql text, most int) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
declare image text; size bigint;
begin
  if pg_typeof(value) in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'json'::regtype) then -- JSON is no shorter
    size := octet_length(value::text);
    if size > most then return '!' || size; end if;
  end if;
  begin
    execute sql into image using value;
    if octet_length(image) <= most then return image; end if;
    if image is null then return 'null'; end if;
    return '!' || octet_length(image);
  exception when others then null;
  end;
  begin
    size := octet_length(format('%s', value)); -- a cast may be a function of the writer's
  exception when others then
    size := pg_column_size(value);
  end;
  return '!' || size;
end $$;

-- The image of a row from its values, without those that are too large (see 0012): of what has more than 128 MB together, the largest.
create function listenql.large_image(names text[], images text[]) returns text language plpgsql stable
  set search_path = pg_catalog, pg_temp as $$
begin
  return (select '{' || string_agg(v.name || ':' || case when v.gone is null then coalesce(v.image, 'null') else 'null' end, ',' order by v.i)
      || coalesce(',"":{' || string_agg(v.name || ':' || v.gone, ',' order by v.i) filter (where v.gone is not null) || '}', '') || '}'
    from (select u.*, case when left(u.image, 1) = '!' then substr(u.image, 2)
        when sum(octet_length(u.image)) over (order by octet_length(u.image), u.i) > 134217728 then octet_length(u.image)::text end as gone
      from unnest(names, images) with ordinality u(name, image, i)) v);
end $$;

-- Takes back what a statement has logged, to log it once more with the large values left out: instead of an image that is not to
-- be made, it has set listenql.large.
create function listenql.take_back(root oid, own int, logged bigint) returns boolean language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  delete from listenql.event e where e.xid = pg_current_xact_id() and e.statement = own and e.kind = 't' and e.topic = root::text
    and e.id in (select l.id from listenql.event l where l.xid = pg_current_xact_id() and l.statement = own and l.kind = 't'
      and l.topic = root::text order by l.id desc limit logged);
  perform set_config('listenql.large', '', true);
  return true;
end $$;

-- What gives, for a row, its size in memory, and with `images` its image as large_image() makes it; null: no value of the table is
-- large. A byte in memory may have 1,530 in JSON, compressed by 255 and escaped by 6, so rows of up to 256 kB are out of danger,
-- but for numerics of thousands of digits within arrays and jsonb: of those, Postgres itself cannot write 1 GB of text.
-- The image of a larger row has at most 128 MB.
create function listenql.large_sql(root oid, member oid, alias text, checked boolean, images boolean) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
begin
  return (select format('select %s as %I' || case when images then ', listenql.large_image(array[%s], array[%s]) as %I' else '' end,
      string_agg(format('coalesce(pg_catalog.pg_column_size(%I), 0)', v.name), ' operator(pg_catalog.+) ' order by v.place) filter (where v.large),
      alias || 'z',
      string_agg(quote_literal(to_json(v.name::text)::text), ', ' order by v.place),
      string_agg(case when v.large then format('listenql.large_value(%I, %L, %s)', v.name,
          format('select pg_catalog.to_json(%s)::pg_catalog.text from (select $1 as v) x', listenql.value_sql('v', v.type, 'i')),
          least(134217728, 939524096 / count_large)) -- all of them are in one array, of at most 1 GB
        else format('pg_catalog.to_json(%s)::pg_catalog.text', v.value) end, ', ' order by v.place),
      alias || 'c')
    from (select *, count(*) filter (where c.large) over () as count_large from listenql.column_values(root, member, alias, checked) c) v
    having count(*) filter (where v.large) > 0);
end $$;

-- A name that no column of either table has, also with i, z and c at its end.
create function listenql.free_alias(root oid, member oid) returns text language plpgsql volatile
  set search_path = pg_catalog, pg_temp as $$
declare a text := '_lq_r';
begin
  -- `row_to_json(x)` means the column x if there is one.
  while exists (select from pg_attribute where attrelid in (root, member) and attname in (a, a || 'i', a || 'z', a || 'c')) loop a := a || '_'; end loop;
  return a;
end $$;

-- As capture_sql of 0004. by_place: an UPDATE may have touched a row more than once, by itself and by a cascade. Then pairing
-- by key would mix up the images; both tables are filled in the same order, so each pair is one change.
create function listenql.log_sql(op text, root oid, member oid, generation_sql text, slot_sql text, statement_sql text, guard text,
    by_place boolean) returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  a text := listenql.free_alias(root, member);
  tail text := coalesce(' where ' || guard, '');
  large text := listenql.large_sql(root, member, a, guard is null, guard is null);
  cols text; nulls text; keys text; head text; up text; down text; old_rows text; new_rows text; whole boolean; placed text;
begin
  head := format('insert into listenql.event (slot, statement, kind, topic, generation, operation, old, new) select %s, %s, %L, %L, %s, ',
    slot_sql, statement_sql, 't', root::text, generation_sql);
  if op = 'TRUNCATE' then return head || quote_literal('T') || ', null, null'; end if;
  cols := listenql.columns_sql(root, member, a, guard is null);
  select string_agg(format('null::pg_catalog.text as %I', m.attname), ', '),
      root = member and guard is not null and coalesce(bool_and(listenql.is_builtin(m.atttypid)), true)
        and not coalesce(bool_or(to_jsonb(m) ->> 'attgenerated' = 'v'), false)
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

-- MERGE on partitioned tables (PostgreSQL 15 and newer). What it leaves in transition tables cannot be relied on: a row that it
-- moves to another partition is in those of DELETE and INSERT, whose triggers do not fire unless the MERGE has such actions
-- (ExecDeleteEpilogue and ExecInsert in src/backend/executor/nodeModifyTable.c look for CMD_UPDATE), and after an INSERT the new
-- row of an UPDATE is the one that was inserted (tcs_original_insert_tuple is left as it was; AfterTriggerSaveEvent in
-- src/backend/commands/trigger.c). So a row trigger on the partitions logs the rows as well, with kind m, while setting
-- listenql.merging says that an UPDATE of a partitioned table is under way that may be a MERGE. At the end of the command
-- choose_merged() decides which of the two to keep.

-- Whether the command that runs may be a MERGE: its text says so, or cannot be seen.
create function listenql.may_be_merge(context pg_catalog.text) returns pg_catalog.bool language plpgsql as $$
declare
  command pg_catalog.text := pg_catalog.current_query();
  line int := pg_catalog.strpos(context, E'\n');
begin
  if line operator(pg_catalog.>) 0 then
    context := pg_catalog.substr(context, line operator(pg_catalog.+) 1);
    command := pg_catalog.substring(context, E'^SQL statement "(.*?)"(?:\n(?:PL|SQL|compilation|COPY)|$)');
    if command is null and context operator(pg_catalog.~) '^SQL function "' then
      command := pg_catalog.string_agg(p.prosrc, ' ') from pg_catalog.pg_proc p
        where p.proname operator(pg_catalog.=) pg_catalog.substring(context, '^SQL function "([^"]*)"')::pg_catalog.name
          and pg_catalog.length(p.prosrc) operator(pg_catalog.>) 0;
    end if;
  end if;
  return (pg_catalog.octet_length(command) operator(pg_catalog.>) 65536 or command operator(pg_catalog.~*) 'merge|execute') is not false;
end $$;

-- Sets listenql.merging for the statement that began last.
create function listenql.set_merging() returns void language plpgsql as $$
declare
  stack pg_catalog.text := pg_catalog.current_setting('listenql.statement', true);
  place pg_catalog.text := pg_catalog.substring(stack, '@([^;]*);');
begin
  perform pg_catalog.set_config('listenql.merging', coalesce(pg_catalog.substring(stack,
    pg_catalog.concat('UPDATE[0-9]+[.][0-9]+=([0-9]+)m?f?pu?@', place, ';')), ''), true);
end $$;

-- Logs what a row trigger has seen, with the number of the UPDATE of a partitioned table that is under way.
create function listenql.log_merged(root oid, generation int, former text, now text) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare
  n int := substring(current_setting('listenql.statement', true), 'UPDATE[0-9]+[.][0-9]+=([0-9]+)m?f?pu?@');
  keys text[] := listenql.key_columns(root);
  same boolean := listenql.key_of(former, keys) is not distinct from listenql.key_of(now, keys);
begin
  insert into listenql.event (slot, statement, kind, topic, generation, operation, old, new)
    select pg_sequence_last_value('listenql.head') & 3, n * 4 + e.phase, 'm', root::text, generation, e.operation, e.old, e.new
    from (select 1 as phase, 'D'::"char" as operation, former as old, null as new where now is null
      union all select 3, 'I', null, now where former is null
      union all select 2, 'U', former, now where former is not null and now is not null and same
      union all select 2, 'D', former, null where former is not null and now is not null and not same
      union all select 2, 'I', null, now where former is not null and now is not null and not same) e
    where pg_sequence_last_value('listenql.head') is not null;
  if strpos(current_setting('listenql.merged', true), concat(';', n, ';')) > 0 is not true then
    perform set_config('listenql.merged', concat(current_setting('listenql.merged', true), ';', n, ';'), true);
  end if;
end $$;

-- At the end of a command. If all that row triggers have logged is among what statement triggers have, those are right: the
-- command was no MERGE, or one whose transition tables are whole.
create function listenql.choose_merged(root oid, n int, signs int) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
declare kept int;
begin
  if exists (
    select e.operation, e.old, e.new from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement between n * 4 + 1 and n * 4 + 3 and e.kind = 'm' and e.topic = root::text
    except all
    select e.operation, e.old, e.new from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement between n * 4 + 1 and n * 4 + 3 and e.kind = 't' and e.topic = root::text)
  then
    delete from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement between n * 4 + 1 and n * 4 + 3 and e.kind = 't' and e.topic = root::text;
    update listenql.event e set kind = 't'
      where e.xid = pg_current_xact_id() and e.statement between n * 4 + 1 and n * 4 + 3 and e.kind = 'm' and e.topic = root::text;
  else
    delete from listenql.event e
      where e.xid = pg_current_xact_id() and e.statement between n * 4 + 1 and n * 4 + 3 and e.kind = 'm' and e.topic = root::text;
  end if;
  perform set_config('listenql.merged', replace(current_setting('listenql.merged', true), concat(';', n, ';'), ''), true);
  perform listenql.settle(root, n * 4, 2147483647, 'MERGE', signs, listenql.cascades(root));
end $$;

-- The row triggers' function for the root of a tree.
create function listenql.write_merged(root oid, generation int) returns void language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  execute format($sql$create or replace function listenql.%I() returns trigger language plpgsql security definer
    set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'iso_8601'
    set extra_float_digits = 1 set bytea_output = 'hex' set lc_monetary = 'C' set quote_all_identifiers = off set jit = off as %L$sql$,
    'merged_' || root, format($body$
declare
  a text := listenql.free_alias(%1$s, tg_relid);
  large text := listenql.large_sql(%1$s, tg_relid, a, true, true);
  sql text := format('select %%4$s from (select ($1).*) %%3$I%%5$s cross join lateral (select %%2$s) %%1$I', a,
    listenql.columns_sql(%1$s, tg_relid, a, true), a || 'i',
    format(case when large is null then 'row_to_json(%%1$I)::text' else 'case when %%2$I.%%2$I <= 262144 then row_to_json(%%1$I)::text else %%2$I.%%3$I end' end,
      a, a || 'z', a || 'c'), ' cross join lateral (' || large || format(') %%I', a || 'z'));
  former text;
  now text;
begin
  if tg_relid not in (select listenql.members(%1$s)) then return null; end if;
  if tg_op <> 'INSERT' then execute sql into former using old; end if;
  if tg_op <> 'DELETE' then execute sql into now using new; end if;
  perform listenql.log_merged(%1$s, case when listenql.is_same(%1$s, %2$s, %3$s) then %4$s else %4$s + 1 end, former, now);
  return null;
end$body$, root, listenql.shape(root), coalesce(listenql.key_index(root)::text, 'null'), generation));
  execute format('revoke all on function listenql.%I() from public', 'merged_' || root);
end $$;

-- How many row triggers of ours a table has to have.
create function listenql.merge_triggers(member oid) returns int language sql volatile set search_path = pg_catalog, pg_temp as $$
  select case when current_setting('server_version_num')::int >= 150000 and (c.relkind = 'p' or c.relispartition) then 1 else 0 end
  from pg_class c where c.oid = member $$;

-- (Re)writes the functions of a table. What they run under is the writer's search_path, so everything is named in full, and
-- nothing looks an operator up by itself, as USING, IN, NULLIF and CASE with a value do.
--
-- number_OID, BEFORE STATEMENT: see enter(). Its trigger's name sorts last, so that what other BEFORE STATEMENT triggers do
-- comes before.
--
-- capture_OID, AFTER STATEMENT, logs. Its SQL is written once, for the columns as they are, and planned once in a session.
-- Where they are different (ALTER TABLE a moment ago) the SQL is made afresh, and the events carry the next generation.
-- A database restored without its data has no head of the log, and triggers of a restored dump may call the functions of another
-- table: nothing is logged then, and writes pass.
--
-- A writer pays for each expression in here with every transaction, and for a SET of the function several times over. So the
-- ordinary case comes first: the first command of a transaction, under settings that make no difference to the columns' types.
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
  slot_sql text := $sql$(pg_catalog.pg_sequence_last_value('listenql.head') operator(pg_catalog.&) 3)::pg_catalog.int2$sql$;
  has_large boolean := exists (select from listenql.column_values(root, member, 'r', false) v where v.large);
  usual text; pin text; unpin text; wrap text; guard text; first text; second text; op text; phase int; disturbed text; tangled text;
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
    -- Cascades may have added rows to this operation, and the command has others on this table.
    tangled := case when (op = 'DELETE' and strpos(cascading, 'd') > 0) or (op = 'UPDATE' and strpos(cascading, 'u') > 0) then format($sql$
    if pg_catalog.translate(pg_catalog.current_setting('listenql.operations', true), %L, '') operator(pg_catalog.~) %L then
      signs := 8;
      number := 0;
    end if;$sql$, left(op, 1), '[A-Z]' || member || ';') end;
    first := concat(first, format($body$
  %s tg_op operator(pg_catalog.=) %L and tg_relid operator(pg_catalog.=) %s::pg_catalog.oid
      and (pg_catalog.current_setting('listenql.statement', true) operator(pg_catalog.=) '') is not false%s then
    $body$ || wrap, case op when 'INSERT' then 'if' else 'elsif' end, op, member, usual,
      listenql.log_sql(op, root, member, generation::text, slot_sql, phase::text, guard, strpos(cascading, 'u') > 0)), tangled);
    second := concat(second, format($body$
    elsif tg_op operator(pg_catalog.=) %L and tg_relid operator(pg_catalog.=) %s::pg_catalog.oid then
      $body$ || wrap, op, member, listenql.log_sql(op, root, member, generation::text, '(select ' || slot_sql || ')',
        $sql$(select pg_catalog.current_setting('listenql.number')::pg_catalog.int4)$sql$, guard, strpos(cascading, 'u') > 0)));
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
    end if;%s
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
%s  if not found or again or pg_catalog.pg_sequence_last_value('listenql.armed') operator(pg_catalog.>) pg_catalog.pg_sequence_last_value('listenql.cleared') then
    if not found then
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
      execute listenql.log_sql(tg_op, %s, tg_relid, '$3', '$1', '$2', null, true)
        using %s, case when signs is not null and number operator(pg_catalog.<>) 0 then pg_catalog.current_setting('listenql.number')::int
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
    member, first, member || '.' || root || '=', member, root, E'\n    if not (true' || usual || ') then ' || pin || ' end if;',
    listenql.log_sql('TRUNCATE', root, member, (case when part then generation + 1 else generation end)::text, slot_sql, 'number', null, false),
    second, E'\n    if former is not null then ' || unpin || ' end if;',
    case when strpos(cascading, 'u') = 0 then format($sql$
      if found and tg_op operator(pg_catalog.=) 'UPDATE' and signs operator(pg_catalog.&) 1 operator(pg_catalog.>) 0%s then
        again := listenql.repeats(%s, number, logged);
      end if;$sql$, case when has_large then $sql$ and (pg_catalog.current_setting('listenql.large', true) operator(pg_catalog.=) '1') is not true$sql$ end, root) end,
    case when has_large then format($sql$  if pg_catalog.current_setting('listenql.large', true) operator(pg_catalog.=) '1' then
    if logged is null then get diagnostics logged = row_count; end if;
    again := listenql.take_back(%s, case when signs is not null and number operator(pg_catalog.<>) 0 then pg_catalog.current_setting('listenql.number')::int
      when tg_op operator(pg_catalog.=) 'DELETE' then 1 when tg_op operator(pg_catalog.=) 'UPDATE' then 2 else 3 end,
      case when again then 0 else logged end);
  end if;
$sql$, root) else '' end,
    root, slot_sql, same, generation, generation + 1, disturbed,
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

-- Whether all triggers are on a table, enabled, and call its own functions.
create or replace function listenql.is_armed(member oid, always boolean) returns boolean language sql volatile
  set search_path = pg_catalog, pg_temp as $$
  select count(*) filter (where p.proname in ('number_' || member, 'capture_' || member)) = 5
    and count(*) filter (where p.proname like 'merged\_%') >= listenql.merge_triggers(member)
  from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace
  where t.tgrelid = member and t.tgenabled::text in (case when always then 'A' else 'O' end, 'A') $$;

-- Creates what is missing, as the caller: CREATE TRIGGER needs the right TRIGGER on the table, ALWAYS needs its owner. Row
-- triggers on the root of a tree are cloned to all below it by Postgres, to those that come later as well.
create or replace function listenql.create_triggers(member oid, always boolean) returns void language plpgsql
  set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare v record;
begin
  for v in select t.name, t.event, t.tables, 'for each statement' as each, t.function || member as function from (values
      ('~listenql_number', 'before insert or update or delete or truncate', '', 'number_'),
      ('listenql_insert', 'after insert', 'referencing new table as _lq_new', 'capture_'),
      ('listenql_update', 'after update', 'referencing old table as _lq_old new table as _lq_new', 'capture_'),
      ('listenql_delete', 'after delete', 'referencing old table as _lq_old', 'capture_'),
      ('listenql_truncate', 'after truncate', '', 'capture_')) t(name, event, tables, function)
    union all
    select 'listenql_merge_' || member, 'after insert or update or delete', '',
      format('for each row when (pg_catalog.current_setting(%L, true) operator(pg_catalog.<>) %L)', 'listenql.merging', ''), 'merged_' || member
    where current_setting('server_version_num')::int >= 150000 and exists (select from pg_class c where c.oid = member
      and c.relkind = 'p' and not c.relispartition)
  loop
    if not exists (select from pg_trigger t where t.tgrelid = member and t.tgname = v.name) then
      execute format('create trigger %I %s on %s %s %s execute function listenql.%I()', v.name, v.event, member::regclass, v.tables, v.each, v.function);
    end if;
  end loop;
  for v in select t.tgname, t.tgenabled from pg_trigger t join pg_proc p on p.oid = t.tgfoid and p.pronamespace = 'listenql'::regnamespace
      where t.tgrelid = member loop
    if always and v.tgenabled <> 'A' then
      execute format('alter table %s enable always trigger %I', member::regclass, v.tgname);
    elsif not always and v.tgenabled = 'A' then
      execute format('alter table %s enable trigger %I', member::regclass, v.tgname);
    end if;
  end loop;
end $$;

create or replace function listenql.drop_functions(member oid) returns void language plpgsql
  set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare f text;
begin
  foreach f in array array['number_', 'capture_', 'merged_'] loop
    execute format('drop function if exists listenql.%I() cascade', f || member);
  end loop;
end $$;

-- In a restored dump the triggers call functions that are named for the oid that the table had where the dump was made. Row
-- triggers of a partition call the function of the root.
create or replace function listenql.drop_stale(member oid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare other oid;
begin
  for other in select distinct substring(p.proname from '_(\d+)$')::oid from pg_trigger t join pg_proc p on p.oid = t.tgfoid
      where t.tgrelid = member and p.pronamespace = 'listenql'::regnamespace and t.tgparentid = 0
        and p.proname not in ('number_' || member, 'capture_' || member, 'merged_' || member) loop
    perform listenql.drop_functions(other);
  end loop;
end $$;

-- As in 0006; the number of a published event is one of a command of its own.
create or replace function listenql.publish(channel text, payload text) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
declare
  slot smallint := pg_sequence_last_value('listenql.head') & 3;
  stack text := current_setting('listenql.statement', true);
  n int := coalesce(nullif(split_part(stack, ';', 1), '')::int, num_nonnulls(pg_current_xact_id_if_assigned())) + 1;
  rung boolean;
begin
  if channel is null or octet_length(channel) not between 1 and 63 then
    raise exception 'listenql: the name of a channel has 1 to 63 bytes, this one %', coalesce(octet_length(channel), 0)
      using errcode = 'invalid_parameter_value';
  elsif channel = 'listenql' then
    raise exception 'listenql: this channel is the doorbell' using errcode = 'invalid_parameter_value';
  end if;
  if slot is null then return; end if; -- the log has no state: see write_functions()
  if stack <> '' is not true then perform set_config('listenql.depth', '99', true); end if;
  perform set_config('listenql.statement', concat(n, ';', substr(stack, strpos(stack, ';') + 1)), true);
  insert into listenql.event (slot, statement, kind, topic, generation, operation, new)
    values (slot, n * 4, 'c', channel, 0, 'N', coalesce(payload, ''));
  rung := listenql.ring();
end $$;

-- Tables that are watched already get the new functions, unless they were altered a moment ago: then refresh() writes them.
-- It also puts the row triggers on partitioned tables: their history begins anew, since MERGE may have left holes in it.
do $$
declare w record; m oid;
begin
  for w in select t.relid, t.generation, t.fingerprint from listenql.watched_table t for update loop
    continue when w.fingerprint is distinct from listenql.fingerprint(w.relid);
    for m in select listenql.members(w.relid) loop
      perform listenql.write_functions(w.relid, m, w.generation);
    end loop;
    update listenql.watched_table t set fingerprint = null, guard_print = null where t.relid = w.relid
      and exists (select from listenql.members(w.relid) k where listenql.merge_triggers(k) > 0);
  end loop;
end $$;

-- Not those that were there before: their grants, also to public, are the operator's.
do $$
declare f regprocedure;
begin
  for f in select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'listenql'::pg_catalog.regnamespace
      and (p.proacl is null or p.proname = any ('{cascades,suits,level,enter,mark_several,leave,settle,repeats,key_of,has_before,may_be_large,column_values,columns_sql,large_value,large_image,take_back,large_sql,free_alias,log_sql,may_be_merge,set_merging,log_merged,choose_merged,write_merged,merge_triggers}')) loop
    execute pg_catalog.format('revoke all on function %s from public', f);
  end loop;
end $$;
