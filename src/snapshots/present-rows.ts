import type { TableColumn, WatchedTable } from '../catalog/watched-table.js'
import { EVERYTHING, type Filter, type RowImage } from '../filters/index.js'
import { ListenqlError } from '../lib/errors.js'
import type { RowAccess } from '../rls/row-access.js'
import type { TableAccess } from '../rls/table-access.js'
import { keyText, MAX_DELIVERED_ROWS, tooMany } from '../sources/tables/delivered-rows.js'
import type { Present } from '../sources/tables/present.js'
import type { Snapshots } from './snapshots.js'

export interface PresentRowsOptions {
  readonly snapshots: Snapshots
  readonly tableAccess: TableAccess
  readonly rowAccess: RowAccess
}

/** Snapshots under the viewer's role and claims: the viewer sees what its own `select` would return. */
export function createPresentRows({ snapshots, tableAccess, rowAccess }: PresentRowsOptions): Present {
  return {
    isNeeded: (table, viewer) => rowAccess.readsItself(table, viewer),
    async readable(table, viewer) {
      const { numbers } = await tableAccess.rightsOf(viewer.role as string, table)
      return table.columns.filter(({ number }) => numbers.includes(number)).map(({ name }) => name)
    },
    async keys(table, viewer, signal) {
      keyColumns(table)
      const { rows, position } = await snapshots.snapshot(
        table,
        {
          filter: EVERYTHING,
          orderBy: [],
          limit: MAX_DELIVERED_ROWS + 1,
          offset: 0,
          viewer,
          columns: table.key,
        },
        signal,
      )
      if (rows.length > MAX_DELIVERED_ROWS) throw tooMany()
      return { keys: rows.map(row => keyText(table.key, row)), position }
    },
    async rows(table, viewer, images, signal) {
      const wanted = new Map(images.map(image => [keyText(table.key, image), image]))
      if (wanted.size === 0) return new Map()
      const columns = await this.readable(table, viewer)
      const filter = isAnyOf(keyColumns(table), [...wanted.values()])
      const { rows } = await snapshots.snapshot(
        table,
        { filter, orderBy: [], limit: wanted.size, offset: 0, viewer, columns: [...columns, ...table.key] },
        signal,
      )
      return new Map(rows.map(row => [keyText(table.key, row), row]))
    },
  }
}

/** @throws ListenqlError FORBIDDEN if rows cannot be found by a key */
function keyColumns({ key, columns, name: table }: WatchedTable): TableColumn[] {
  const found = columns.filter(({ name }) => key.includes(name))
  if (found.length > 0 && !found.some(({ isArray, category }) => isArray || category === 'json')) return found
  throw new ListenqlError(
    'FORBIDDEN',
    `the changes of table ${table} cannot be followed under its row-level security: its policies read the table itself, and it has no primary key to find a row by`,
    { hint: 'see Row-level security in docs/security.md' },
  )
}

function isAnyOf(key: readonly TableColumn[], images: readonly RowImage[]): Filter {
  const [only, ...more] = key
  if (only && more.length === 0) return isOneOf(only, images)
  return {
    kind: 'or',
    filters: images.map(image => ({ kind: 'and', filters: key.map(column => isOneOf(column, [image])) })),
  }
}

/** Operands for SQL only: their keys, which only filters in the server use, are empty. */
function isOneOf(column: TableColumn, images: readonly RowImage[]): Filter {
  const operands = images.map(image => ({ key: '', text: textOf(column, image) }))
  return { kind: 'in', column, negated: false, operands }
}

function textOf({ name, category }: TableColumn, image: RowImage): string {
  const json = image.json(name)
  const text = json.startsWith('"') ? (JSON.parse(json) as string) : json
  return category === 'citext' ? text.toLowerCase() : text
}
