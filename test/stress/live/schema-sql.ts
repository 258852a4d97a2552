import type { Random } from '../random.js'
import type { Scene } from '../scene.js'
import { EVERYONE, MEMBER, policySql } from './policies.js'
import { insertOf } from './random-writes.js'
import type { Column, Reference, Schema, Table } from './schema.js'

/**
 * The tables' own record of what was written: ordinary triggers of rows write each old and new row to `audit`, with the transaction.
 * It shares nothing with the event log, and shows which rows a snapshot of the database has: those that were added, without those
 * that were taken away, by the transactions that the snapshot sees.
 */
const AUDIT = `
create table audit (
  id bigint generated always as identity primary key, xid xid8 not null default pg_current_xact_id(), name text not null, old json, new json);
create function audit_row() returns trigger language plpgsql as $$
begin
  insert into audit (name, old, new) values (
    tg_argv[0], case when tg_op <> 'INSERT' then to_json(old) end, case when tg_op <> 'DELETE' then to_json(new) end);
  return null;
end $$;
create function audit_truncate() returns trigger language plpgsql as $$
begin
  execute format('insert into audit (name, old) select %L, to_json(t) from %I t', tg_argv[0], tg_argv[0]);
  return null;
end $$;
`

/** Rows that each table has at first, if its constraints accept all of them. */
const FIRST_ROWS = 20

/** The scene of a run: tables, foreign keys, first rows. */
export function sceneOf(schema: Schema, random: Random): Scene {
  const { tables, references, grades } = schema
  const watched = tables.map(({ name }) => name)
  const rows = tables.flatMap(table =>
    Array.from({ length: FIRST_ROWS }, () => `${insertOf(schema, table, random)} on conflict do nothing`),
  )
  return {
    sql: [
      AUDIT,
      `create type grade as enum (${grades.map(label => `'${label}'`).join(', ')})`,
      ...tables.flatMap(table => createTable(table, schema)),
      ...references.flatMap(addReference),
      ...policySql(schema),
      ...rows,
    ].join(';\n'),
    watched,
    grants: login => `
grant select, insert, update, delete, truncate on all tables in schema public to ${login};
alter role ${login} bypassrls`,
    ...(schema.policies.length > 0 && { viewerRoles: [MEMBER, EVERYONE] }),
  }
}

function createTable({ name, columns, key, partitions }: Table, { grades }: Schema): string[] {
  const parts = [
    ...columns.map(column => `${column.name} ${typeOf(column)}${column.isRequired ? ' not null' : ''}`),
    ...(key.length > 0 ? [`primary key (${key.join(', ')})`] : []),
  ]
  const by = { hash: ` partition by hash (${key[0]})`, list: ' partition by list (v1)', none: '' }
  const of = (part: string, values: string) => `create table ${name}_${part} partition of ${name} ${values}`
  return [
    `create table ${name} (${parts.join(', ')})${by[partitions ?? 'none']}`,
    ...(partitions === 'hash'
      ? [0, 1].map(i => of(String(i), `for values with (modulus 2, remainder ${i})`))
      : []),
    ...(partitions === 'list' ? [of('0', `for values in ('${grades[0]}')`), of('1', 'default')] : []),
    `create trigger audit_row after insert or update or delete on ${name} for each row execute function audit_row('${name}')`,
    `create trigger audit_truncate before truncate on ${name} for each statement execute function audit_truncate('${name}')`,
  ]
}

/** The type of a column in SQL. */
export function typeOf({ type, scale }: Column): string {
  return type === 'numeric' && scale !== undefined ? `numeric(12, ${scale})` : type
}

/** Adds a foreign key, an index on its columns, and the comment that names its fields in GraphQL. */
export function addReference(reference: Reference): string[] {
  const { name, from, columns, isUnique } = reference
  const list = columns.join(', ')
  return [
    ...constrain(reference),
    isUnique
      ? `alter table ${from} add constraint ${name}_unique unique (${list})`
      : `create index on ${from} (${list})`,
  ]
}

/** Adds a foreign key, and the comment that names its fields in GraphQL. */
export function constrain({
  name,
  from,
  to,
  columns,
  toColumns,
  actions,
  isDeferred,
  ...fields
}: Reference): string[] {
  const given = JSON.stringify({ foreign_name: fields.forward, local_name: fields.backward })
  return [
    `alter table ${from} add constraint ${name} foreign key (${columns.join(', ')}) references ${to} (${toColumns.join(', ')})
      ${actions} ${isDeferred ? 'deferrable initially deferred' : ''}`,
    `comment on constraint ${name} on ${from} is '@graphql(${given})'`,
  ]
}
