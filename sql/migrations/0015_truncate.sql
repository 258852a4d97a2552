-- TRUNCATE of several tables, by name or by CASCADE: a table after a partition was not logged, because it took the number of the
-- partition, which is 0 where the root says it all. And an INSERT of a CTE came before what its triggers had run.

-- As in 0009, but the number of a command is that of a table of it whose number is not 0. If there is none, it gets the next one.
create or replace function listenql.enter(op pg_catalog.text, member pg_catalog.text, root pg_catalog.text, context pg_catalog.text,
    merge pg_catalog.bool) returns int language plpgsql as $$
declare
  stack pg_catalog.text := pg_catalog.current_setting('listenql.statement', true);
  place pg_catalog.text := listenql.level(context);
  depth pg_catalog.text := pg_catalog.pg_trigger_depth()::pg_catalog.text;
  last int := 1;
  n int;
  own int;
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
      own := pg_catalog.substring(stack, pg_catalog.concat('=([1-9][0-9]*)[a-z]*@', place, ';'));
      -- An INSERT of a CTE comes after what its own triggers BEFORE STATEMENT have run. (That of an upsert or MERGE is the first.)
      if op operator(pg_catalog.<>) 'INSERT' or own operator(pg_catalog.=) last then n := coalesce(own, n); end if;
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
