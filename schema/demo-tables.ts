import type { TableColumn, WatchedTable } from '../src/catalog/watched-table.js'

/** The tables of sql/demo.sql as the catalogue returns them, so that their schema can be printed without a database. */
export const DEMO_TABLES: readonly WatchedTable[] = [
  table('1', 'people', [
    column('pk', 'int4', 'integer', 23, true),
    column('ts', 'timestamptz', 'timestamp with time zone', 1184),
    column('name', 'text', 'text', 25),
    column('age', 'int4', 'integer', 23),
    column('height', 'float4', 'real', 700),
  ]),
  {
    ...table('2', 'visits', [
      column('pk', 'int4', 'integer', 23, true),
      column('ts', 'timestamptz', 'timestamp with time zone', 1184),
      column('person_id', 'int4', 'integer', 23, true),
      column('place', 'text', 'text', 25),
    ]),
    foreignKeys: [
      {
        name: 'visits_person_id_fkey',
        columns: ['person_id'],
        references: '1',
        referencedColumns: ['pk'],
        operators: ['operator(pg_catalog.=)'],
        collations: [null],
        isUnique: false,
        comment: null,
      },
    ],
  },
]

function table(relid: string, name: string, columns: readonly TableColumn[]): WatchedTable {
  return {
    relid,
    schema: 'public',
    name,
    comment: null,
    columns,
    key: ['pk'],
    generation: 1,
    wholeFrom: 1,
    since: { n: 0, token: 0 },
    readable: true,
  }
}

function column(
  name: string,
  type: 'float4' | 'int4' | 'text' | 'timestamptz',
  typeName: string,
  typeOid: number,
  notNull = false,
): TableColumn {
  return {
    name,
    number: 0,
    baseType: type,
    category: type,
    isArray: false,
    typeName,
    typeOid,
    notNull,
    comment: null,
  }
}
