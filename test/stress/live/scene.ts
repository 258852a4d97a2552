import type { Scene } from '../scene.js'

/** What the balances of all accounts amount to, whatever is transferred. */
export const TOTAL_BALANCE = 10_000
export const ACCOUNTS = 10

/**
 * Tables with foreign keys of every kind: by text and numeric, composite, to the same table, deferred, cascading, SET NULL, between
 * partitions. Every table has a unique order for its rows, so that two reads of the same rows are the same text.
 */
export const LIVE_SCENE: Scene = {
  sql: `
create type grade as enum ('low', 'middle', 'high');
create table regions (code text primary key, name text);
create table customers (
  id bigint primary key, name text, region_key text references regions on update cascade on delete set null,
  boss_id bigint references customers on delete set null, grade grade, credit numeric(12, 4));
create table orders (
  shop numeric, no int, customer_id bigint references customers on delete cascade, state text, total numeric(10, 2), note text,
  primary key (shop, no)) partition by hash (shop);
create table orders_0 partition of orders for values with (modulus 2, remainder 0);
create table orders_1 partition of orders for values with (modulus 2, remainder 1);
create table items (
  order_shop numeric, order_no int, sku text not null, quantity int, constraint items_order unique (order_shop, order_no, sku),
  foreign key (order_shop, order_no) references orders on update cascade on delete cascade deferrable initially deferred);
create index on customers (region_key); create index on customers (boss_id); create index on orders (customer_id);
create table accounts (id int primary key, customer_id bigint references customers on delete set null, balance int not null);
insert into regions select chr(97 + i), 'region ' || i from generate_series(0, 4) i;
insert into customers select i, 'c' || i, chr(97 + i % 5), nullif(i / 3, 0), 'low', i from generate_series(1, 30) i;
insert into orders select i % 4 + 0.5, i, 1 + i % 30, 'open', i, 'n' from generate_series(1, 60) i;
insert into items select shop, no, 's' || j, j from orders, generate_series(1, 3) j;
insert into accounts select i, i, ${TOTAL_BALANCE / ACCOUNTS} from generate_series(1, ${ACCOUNTS}) i`,
  watched: ['regions', 'customers', 'orders', 'items', 'accounts'],
  grants: login => `
grant select, insert, update, delete on regions, customers, orders, items, accounts to ${login};
grant truncate on items to ${login}`,
}
