import type { TableColumn, WatchedTable } from '../src/catalog/watched-table.js'

/** The table of sql/demo.sql as the catalogue returns it, so that its schema can be printed without a database. */
export const DEMO_TABLES: readonly WatchedTable[] = [
  {
    relid: '0',
    schema: 'public',
    name: 'people',
    comment: null,
    columns: [
      column('pk', 'int4', 'integer', 23, true),
      column('ts', 'timestamptz', 'timestamp with time zone', 1184),
      column('name', 'text', 'text', 25),
      column('age', 'int4', 'integer', 23),
      column('height', 'float4', 'real', 700),
    ],
    key: ['pk'],
    generation: 1,
    wholeFrom: 1,
    since: { n: 0, token: 0 },
    readable: true,
  },
]

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
