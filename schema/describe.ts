import type { TableColumn, WatchedTable } from '../src/catalog/watched-table.js'
import { readComment } from './names/read-comment.js'

/** A description. A lone surrogate, which a name or comment may contain, is replaced, since SDL cannot hold it. */
export function text(...paragraphs: readonly (string | null | undefined)[]): string {
  return paragraphs
    .filter(paragraph => paragraph)
    .join('\n\n')
    .replace(/\p{Surrogate}/gu, '\u{fffd}')
}

/** `public.people`, quoted where Postgres quotes it. */
export function tableName({ schema, name }: WatchedTable): string {
  return `${quote(schema)}.${quote(name)}`
}

/** The comment on a table or column, without the name that it gives; null if there is none. */
export function descriptionOf({ comment }: WatchedTable | TableColumn): string | null {
  return readComment(comment).description
}

/** A column's comment, then its type in Postgres. */
export function describeColumn(column: TableColumn): string {
  const type = `Column ${quote(column.name)}, ${column.typeName}${column.notNull ? ', not null' : ''}.`
  return text(descriptionOf(column), `${type}${hintOf(column)}`)
}

function hintOf({ category, isArray }: TableColumn): string {
  const isFloat = category === 'float4' || category === 'float8'
  if (isArray) return ' An array of several dimensions is shown as a list of one null, with an error.'
  return isFloat ? ' NaN and Infinity, which JSON cannot hold, are null with an error.' : ''
}

function quote(identifier: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(identifier) ? identifier : `"${identifier.replaceAll('"', '""')}"`
}
