import type { RowImage } from '../src/filters/index.js'
import { cellReader, type Writing } from './cell.js'
import { describeColumn, tableName, text } from './describe.js'
import { type Building, type TypedColumn, type TypedTable, typeParam } from './table-schema.js'

export type RowRef = ReturnType<typeof addRowType>

/** `People`: a row with all its columns. */
export function addRowType(building: Building, { table, rowType, columns }: TypedTable) {
  const description = text(table.comment, `A row of table ${tableName(table)}.`)
  return addImageType(building, rowType, description, columns)
}

/** `PeopleKey`: the columns that identify a row; undefined if the table has no key. */
export function addKeyType(building: Building, { table, keyType, rowType, keyColumns }: TypedTable) {
  if (keyColumns.length === 0) return
  const description = text(
    `The primary key of table ${tableName(table)}, which identifies the ${rowType} of a change.`,
  )
  return addImageType(building, keyType, description, keyColumns)
}

function addImageType(
  building: Building,
  name: string,
  description: string,
  columns: readonly TypedColumn[],
) {
  return building.builder.objectRef<RowImage>(name).implement({
    description,
    fields: t => {
      const fields = columns.map(({ column, field, type }) => {
        const read = cellReader(column)
        const item = typeParam(building, type.item)
        const shared = {
          description: describeColumn(column),
          // The reader returns a value of the column's type, which TypeScript cannot check: the types come from the catalogue.
          resolve: (image: RowImage, _args: object, context: Writing) => read(image, context) as never,
        }
        const made = type.isList
          ? t.field({ ...shared, type: [item], nullable: { list: type.nullable, items: true } })
          : t.field({ ...shared, type: item, nullable: type.nullable })
        return [field, made] as const
      })
      if (fields.length > 0) return Object.fromEntries(fields)
      return {
        _noColumns: t.boolean({
          nullable: true,
          description: 'Always null. The table has no columns, and a GraphQL type needs a field.',
          resolve: () => null,
        }),
      }
    },
  })
}
