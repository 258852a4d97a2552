-- The event log and the ledger. PostgreSQL 13 to 18, primaries only.
--
-- Any role that may create a schema can install this, and then owns it; no superuser is needed. Better that it is none:
-- the trigger functions run with the owner's rights. They run no code of others (values go through output functions, never
-- through casts that somebody defined), but a role with nothing else to lose is the second line of defence. A superuser can
-- hand everything over afterwards: alter schema listenql owner to r; reassign owned by ... to r.
create schema if not exists listenql;

create table listenql.migration (
  version int primary key,
  name    text not null,
  at      timestamptz not null default now());

-- One row: which history this is. A restored dump or a copied database is recognised by it and starts a new history.
create table listenql.history (
  only_row          boolean primary key default true check (only_row),
  system_identifier bigint not null,
  database          oid not null,
  horizon           bigint not null default 0,             -- batches up to this one are gone
  generation        int not null default 0,                -- newest generation of tables that are not watched any more
  slot_opened       timestamptz not null default now());
insert into listenql.history (system_identifier, database)
  select c.system_identifier, d.oid from pg_control_system() c, pg_database d where d.datname = current_database();

-- Order inside a batch rests on ids following row locks, so the sequence must keep CACHE 1.
create sequence listenql.event_id cache 1;

-- The log: a ring of four partitions, so that old events go with a TRUNCATE. Images are the text of a JSON object.
create table listenql.event (
  slot       smallint not null,
  id         bigint not null default nextval('listenql.event_id'),
  xid        xid8 not null default pg_current_xact_id(),   -- top-level id, also inside savepoints
  statement  int not null,                                 -- order within the transaction, see number()
  at         timestamptz not null default clock_timestamp(),
  kind       "char" not null,                              -- t: a watched table, c: a published event
  topic      text not null,                                -- the table's oid, or the channel
  generation int not null,
  operation  "char" not null,                              -- I, U, D, T; N for published events
  old        text,
  new        text) partition by list (slot);
create index event_order on listenql.event (xid, statement, id);   -- the only index that anything here needs
create table listenql.event_0 partition of listenql.event for values in (0);
create table listenql.event_1 partition of listenql.event for values in (1);
create table listenql.event_2 partition of listenql.event for values in (2);
create table listenql.event_3 partition of listenql.event for values in (3);

-- Which partition is written to: value modulo 4. A sequence, since all that counts is that it is cheap to read.
create sequence listenql.head minvalue 0 cache 1;

-- The ledger. A batch holds the transactions that its snapshot sees and the previous batch's snapshot did not.
create table listenql.batch (
  n        bigint primary key,                             -- also the lock: of two that write n+1, one wins
  token    bigint not null,                                -- tells a history lost in a failover from the one that replaced it
  snapshot pg_snapshot not null,
  xids     xid8[] not null,                                -- in delivery order
  at       timestamptz not null default clock_timestamp());
alter table listenql.batch alter xids set storage external; -- pages of a large batch read slices of it
insert into listenql.batch values (0, (random() * 1e15)::bigint, pg_current_snapshot(), '{}');

-- The doorbell. Sequences, since what they hold is seen at once and outside of transactions. CACHE must be 1.
create sequence listenql.armed   minvalue 0 cache 1;       -- newest ticket drawn by a server that goes to sleep
create sequence listenql.cleared minvalue 0 cache 1;       -- newest ticket that a committed notification has carried
create sequence listenql.lease   minvalue 0 cache 1;       -- epoch second until which somebody wants the bell
select setval('listenql.head', 0), setval('listenql.armed', 0), setval('listenql.cleared', 0), setval('listenql.lease', 0);

create type listenql.delivery as (n bigint, token bigint, ord int, statement int, id bigint, xid text, at timestamptz,
  kind "char", topic text, generation int, operation "char", old text, new text);
