/** What is in the database of a run. */
export interface Scene {
  /** Creates the tables. */
  readonly sql: string
  readonly watched: readonly string[]
  /** Grants to a login that owns nothing. */
  readonly grants: (login: string) => string
  /** Roles of viewers, of which the servers' login becomes a member. Default: none */
  readonly viewerRoles?: readonly string[]
}

/**
 * The tables of the run. The expected events are recorded independently of the event log, in the same transactions: ordinary row
 * triggers write each change to `audit`, and a counter, locked with the row, gives each state of a row a version that never occurs
 * again, even after the row was deleted and inserted again.
 */
const SQL = `
set check_function_bodies = off; -- schema listenql comes later
create sequence note;
create table counter (topic text, key text, version int not null, primary key (topic, key)) with (fillfactor = 50);
create table audit (
  id bigint generated always as identity primary key, xid xid8 not null default pg_current_xact_id(),
  topic text not null, operation text not null, key text, version int, old_version int);
create table people (
  pk int primary key, name text not null, team int not null, score numeric(8, 2), version int not null default 0);
create table orders (
  shop text, no int, state text not null, amount numeric(10, 2) not null, version int not null default 0, primary key (shop, no));

create function next_version(topic text, key text) returns int language sql as $$
  insert into counter values ($1, $2, 1) on conflict (topic, key) do update set version = counter.version + 1
  returning version $$;

create function key_of(topic text, r jsonb) returns text language sql as $$
  select case topic when 'people' then r ->> 'pk' else concat(r ->> 'shop', '/', r ->> 'no') end $$;

create function count_row() returns trigger language plpgsql as $$
begin
  new.version := next_version(tg_table_name, key_of(tg_table_name, to_jsonb(new)));
  return new;
end $$;

create function audit_row() returns trigger language plpgsql as $$
declare
  n jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  o jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  n_key text := key_of(tg_table_name, n);
  o_key text := key_of(tg_table_name, o);
begin
  if tg_op = 'UPDATE' and n_key = o_key then
    insert into audit (topic, operation, key, version, old_version)
      values (tg_table_name, 'U', n_key, (n ->> 'version')::int, (o ->> 'version')::int);
    return null;
  end if;
  if o is not null then -- a change of the key is two changes
    insert into audit (topic, operation, key, old_version) values (tg_table_name, 'D', o_key, (o ->> 'version')::int);
  end if;
  if n is not null then
    insert into audit (topic, operation, key, version) values (tg_table_name, 'I', n_key, (n ->> 'version')::int);
  end if;
  return null;
end $$;

create function audit_truncate() returns trigger language plpgsql as $$
begin
  insert into audit (topic, operation) values (tg_table_name, 'T');
  return null;
end $$;

create function tell(channel text, pad int) returns void language sql as $$
  with noted as (insert into audit (topic, operation, key) values ($1, 'N', nextval('note')::text) returning key, xid)
  select listenql.publish($1, json_build_object('id', key::int, 'xid', xid::text, 'pad', repeat('x', $2))) from noted $$;
`

const TRIGGERS = (table: string) => `
create trigger count_row before insert or update on ${table} for each row execute function count_row();
create trigger audit_row after insert or update or delete on ${table} for each row execute function audit_row();
create trigger audit_truncate after truncate on ${table} for each statement execute function audit_truncate();
`

export const SCENE: Scene = {
  sql: SQL + TRIGGERS('people') + TRIGGERS('orders'),
  watched: ['people', 'orders'],
  // In schema listenql it may only publish.
  grants: login => `
grant select, insert, update, delete on people, orders, counter, audit to ${login};
grant truncate on orders to ${login};
grant usage on sequence note to ${login};
grant usage on schema listenql to ${login};
grant execute on function listenql.publish(text, json) to ${login};
`,
}

/** All committed changes, as clients should have received them, by topic. */
export const TRUTH_SQL = `
select topic, concat(operation, ' ', coalesce(key, '-'), ' ', coalesce(version::text, '-'), ' ',
  coalesce(old_version::text, '-'), ' in ', xid) as name
from audit order by id`
