import type { FieldRef } from '@pothos/core'
import type { RowImage } from '../src/filters/index.js'
import type { Column } from '../src/postgres/types.js'
import type { SchemaTypes } from './builder.js'
import { cellReader, type Writing } from './cell.js'
import type { ColumnType } from './column-type.js'
import { type Building, typeParam } from './table-schema.js'

/** A value of an image as a field. */
export interface Cell {
  readonly field: string
  readonly column: Column
  readonly type: ColumnType
  readonly description: string
  /** The name in messages. Default: that of the column. */
  readonly shownAs?: string
}

type Types = PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>
type Fields = PothosSchemaTypes.ObjectFieldBuilder<Types, RowImage>

/** The fields of a type whose values are images. */
export function addCells(
  building: Building,
  t: Fields,
  cells: readonly Cell[],
): Record<string, FieldRef<Types, unknown>> {
  const fields = cells.map(({ field, column, type, description, shownAs }) => {
    const read = cellReader(column, shownAs)
    const item = typeParam(building, type.item)
    const shared = {
      description,
      // The reader returns a value of the column's type, which TypeScript cannot check: the types come from the catalogue.
      resolve: (image: RowImage, _args: object, context: Writing) => read(image, context) as never,
    }
    const made = type.isList
      ? t.field({ ...shared, type: [item], nullable: { list: type.nullable, items: true } })
      : t.field({ ...shared, type: item, nullable: type.nullable })
    return [field, made] as const
  })
  return Object.fromEntries(fields)
}
