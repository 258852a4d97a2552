/** Login of the servers: it may read, watch and publish nothing that is not granted to it, and owns the schema `listenql`. */
export const SERVER = { login: 'live', password: 'a password of the servers' }
/** Login of the application, which writes. */
export const WRITER = { login: 'app', password: 'a password of the application' }

/** What the servers' `Tables` selects: two tables by name, and a schema whose tables come and go. */
export const TABLES = ['orders', 'products', 'archive.*']

/**
 * The tables of a small shop. A clerk sees the orders of its branch, the manager all of them. Row triggers write each change to
 * `audit` in the same transaction, independently of the event log.
 */
export const SHOP_SQL = `
set check_function_bodies = off; -- schema listenql comes later
create role clerk;
create role manager;
create role ${SERVER.login} login password '${SERVER.password}';
create role ${WRITER.login} login password '${WRITER.password}';
grant clerk, manager to ${SERVER.login};

create table orders (
  id int primary key, branch text not null, state text not null, amount numeric(10, 2) not null, version int not null default 1);
create table products (id int primary key, name text not null, stock int not null, version int not null default 1);
insert into products select g, 'product ' || g, 100 from generate_series(1, 20) g;
create sequence order_id;
create table journal (n int primary key);
create table audit (id bigint generated always as identity primary key, topic text not null, branch text, name text not null);

create function audit_row() returns trigger language plpgsql as $$
declare r jsonb := to_jsonb(case when tg_op = 'DELETE' then old else new end);
begin
  insert into audit (topic, branch, name)
    values (tg_table_name, r ->> 'branch', concat(tg_op, ' ', r ->> 'id', ' ', r ->> 'version'));
  return null;
end $$;
create trigger audit_row after insert or update or delete on orders for each row execute function audit_row();
create trigger audit_row after insert or update or delete on products for each row execute function audit_row();
create function tell(n int) returns void language sql as $$
  insert into audit (topic, name) values ('news', n::text);
  select listenql.publish('news', n::text) $$;

alter table orders enable row level security;
create policy own_branch on orders for select to clerk
  using (branch = (select current_setting('request.jwt.claims')::json ->> 'branch'));
create policy all_branches on orders for select to manager using (true);
create policy application on orders to ${WRITER.login} using (true);
grant select on orders, products to clerk, manager;

create schema archive;
grant usage, create on schema archive to ${WRITER.login};
grant usage on schema archive to clerk, manager, ${SERVER.login};
alter default privileges for role ${WRITER.login} in schema archive grant select on tables to clerk, manager;
alter default privileges for role ${WRITER.login} in schema archive grant select, trigger on tables to ${SERVER.login};
grant create on database shop to ${SERVER.login};
grant select, trigger on orders, products to ${SERVER.login};
grant select, insert, update, delete on orders, products, journal, audit to ${WRITER.login};
grant usage on sequence order_id to ${WRITER.login};
`

/** What the application needs once the schema `listenql` exists. */
export const PUBLISH_SQL = `
grant usage on schema listenql to ${WRITER.login};
grant execute on function listenql.publish(text, text) to ${WRITER.login}`

export const BRANCHES = ['north', 'east'] as const
