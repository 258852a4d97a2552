import pg from 'pg'
import type { TableColumn, WatchedTable } from '../catalog/watched-table.js'
import type { RowImage } from '../filters/index.js'
import type { PolicyColumn } from './policies.js'

/** Built-in types whose text may mean something else later, or nothing, or omits the lower bounds of arrays. */
const NOT_TO_BE_READ: ReadonlySet<string> = new Set([
  'aclitem',
  'gtsvector',
  'int2vector',
  'oidvector',
  'pg_node_tree',
  'refcursor',
  'regclass',
  'regcollation',
  'regconfig',
  'regdictionary',
  'regnamespace',
  'regoper',
  'regoperator',
  'regproc',
  'regprocedure',
  'regrole',
  'regtype',
])

/** Most columns of one image that may be either NULL or JSON null; an image with more is treated as not visible. */
const MAX_DOUBTFUL_COLUMNS = 4

/** Settings of the transaction that hold the images: `IMAGES` with some columns, `WHOLE_IMAGES` with whole rows. */
export const IMAGES = 'listenql.images'
export const WHOLE_IMAGES = 'listenql.whole_images'

/** Why a policy that uses the column cannot be evaluated on an image; undefined if it can. */
export function refusalOf({ name, baseType, category, isArray }: TableColumn): string | undefined {
  if (NOT_TO_BE_READ.has(baseType))
    return `the text of column ${name}, of type ${baseType}, does not determine its value`
  if (category === 'json' && isArray)
    return `column ${name} is an array of ${baseType}, in which NULL and a JSON null look the same`
  return undefined
}

/** The same for a policy that uses the whole row, `people.*`. */
export function refusalOfWhole(column: TableColumn): string | undefined {
  if (column.category !== 'json') return refusalOf(column)
  return `it uses the whole row, and in column ${column.name} NULL and a JSON null look the same`
}

/**
 * A relation, as SQL for FROM, of the rows that `encodeImages` has put into a setting. It has these columns and the name of the
 * table as its alias, because the SQL of pg_get_expr names them so.
 */
export function imagesSql(
  table: WatchedTable,
  columns: readonly (PolicyColumn & { readonly column: TableColumn })[],
): string {
  const alias = pg.escapeIdentifier(table.name)
  const defined = columns.map(({ column, collation }) => {
    const type = column.category === 'json' ? 'pg_catalog.text' : column.typeName
    const collate = collation === null || column.category === 'json' ? '' : ` collate ${collation}`
    return `${pg.escapeIdentifier(column.name)} ${type}${collate}`
  })
  const read = columns.map(({ column: { name, category, typeName } }) => {
    const quoted = pg.escapeIdentifier(name)
    return category === 'json' ? `${quoted}::${typeName} as ${quoted}` : quoted
  })
  return `(select ${read.join(', ')} from ${recordset(defined.join(', ') || '_lq_ pg_catalog.bool')}) as ${alias}`
}

function recordset(definition: string): string {
  return `pg_catalog.json_to_recordset(pg_catalog.current_setting('${IMAGES}')::pg_catalog.json) as _lq_r(${definition})`
}

/** The same for whole rows, of the table's own row type. */
export function wholeImagesSql({ schema, name }: WatchedTable): string {
  const type = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`
  return `pg_catalog.json_populate_recordset(null::${type}, pg_catalog.current_setting('${WHOLE_IMAGES}')::pg_catalog.json) as ${pg.escapeIdentifier(name)}`
}

/** Images as they are sent: a JSON array, with one row for each way in which an image can be read. */
export interface EncodedImages {
  readonly text: string
  /** How many rows stand for each image; 0: too many, so the image counts as not visible. */
  readonly counts: readonly number[]
}

/**
 * A NULL and a JSON null look the same in an image. Where a column may be either, several rows stand for the image, and it is
 * visible if all of them are. JSON is passed as text, because a value such as `\u0000` would prevent Postgres from reading the row.
 */
export function encodeImages(columns: readonly TableColumn[], images: readonly RowImage[]): EncodedImages {
  const plain = columns.filter(({ category }) => category !== 'json')
  const json = columns.filter(({ category }) => category === 'json')
  const rows: string[] = []
  const counts = images.map(image => {
    const sure = plain.map(({ name }) => `${JSON.stringify(name)}:${image.json(name)}`)
    const doubtful: string[] = []
    for (const { name, notNull } of json) {
      const text = image.json(name)
      if (text === 'null' && !notNull) doubtful.push(name)
      else sure.push(`${JSON.stringify(name)}:${JSON.stringify(text)}`)
    }
    if (doubtful.length > MAX_DOUBTFUL_COLUMNS) return 0
    for (let way = 0; way < 2 ** doubtful.length; way++) {
      const nulls = doubtful.filter((_, i) => way & (1 << i)).map(name => `${JSON.stringify(name)}:"null"`)
      rows.push(`{${[...sure, ...nulls].join(',')}}`)
    }
    return 2 ** doubtful.length
  })
  return { text: `[${rows.join(',')}]`, counts }
}

/**
 * Whether a policy that reads these columns can decide about an image: an unreadable value is null in the image without being
 * NULL.
 */
export function isDecidable(image: RowImage, columns: readonly TableColumn[]): boolean {
  return !image.hasUnreadable || !columns.some(({ name }) => image.unreadable(name) !== undefined)
}

/** @param answer a 1 or 0 for each row of `encodeImages` */
export function decodeVerdicts(answer: string, counts: readonly number[]): boolean[] {
  let at = 0
  return counts.map(count => {
    if (count === 1) return answer.charCodeAt(at++) === ONE_CODE
    const of = answer.slice(at, at + count)
    at += count
    return count > 0 && of.length === count && !of.includes('0')
  })
}

const ONE_CODE = 0x31
