import {
  EVERYTHING,
  type Filter,
  type FilterLimits,
  parseFilter,
  type RelatedScope,
} from '../src/filters/index.js'
import type { Column } from '../src/postgres/types.js'
import type { ComparisonRef } from './comparisons.js'
import { describeColumn, tableName, text } from './describe.js'
import { linkOf } from './relations.js'
import type { Building, TypedColumn, TypedTable } from './table-schema.js'

export type FilterRef = ReturnType<typeof declareFilter>

export function declareFilter({ builder }: Pick<Building, 'builder'>, { filterType }: TypedTable) {
  return builder.inputRef<Record<string, unknown>>(filterType)
}

/** `PeopleFilter`. @param filterOf the filter and the list filter of another table, by its oid */
export function addFilterType(
  { builder }: Building,
  { table, columns, relations }: TypedTable,
  ref: FilterRef,
  comparisonOf: (column: TypedColumn) => ComparisonRef,
  filterOf: (relid: string) => { readonly filter: FilterRef; readonly listFilter: FilterRef },
): void {
  builder.inputType(ref, {
    description: text(
      `Conditions on the rows of table ${tableName(table)}. All must hold, with SQL's logic of true, false and unknown; {} matches every row.`,
    ),
    fields: t => ({
      and: t.field({ type: [ref], description: 'All of these hold; an empty list matches every row.' }),
      or: t.field({ type: [ref], description: 'One of these holds; an empty list matches no row.' }),
      not: t.field({
        type: ref,
        description:
          'This condition does not hold. If the condition is unknown, its negation is unknown too, and the row does not match.',
      }),
      ...Object.fromEntries(
        columns.map(column => [
          column.field,
          t.field({ type: comparisonOf(column), description: describeColumn(column.column) }),
        ]),
      ),
      ...Object.fromEntries(
        relations.map(({ field, isMany, to }) => [
          field,
          isMany
            ? t.field({ type: filterOf(to).listFilter, description: 'What holds for the linked rows.' })
            : t.field({
                type: filterOf(to).filter,
                description: 'There is a linked row, and this holds for it.',
              }),
        ]),
      ),
    }),
  })
}

/** `PeopleListFilter`: conditions on several linked rows. */
export function addListFilter(
  { builder }: Building,
  { table, listFilterType }: TypedTable,
  filter: FilterRef,
) {
  const ref = builder.inputRef<Record<string, unknown>>(listFilterType)
  builder.inputType(ref, {
    description: text(`Conditions on linked rows of table ${tableName(table)}. All must hold.`),
    fields: t => ({
      some: t.field({ type: filter, description: 'This holds for at least one of them; {}: there is one.' }),
      none: t.field({ type: filter, description: 'This holds for none of them; {}: there is none.' }),
    }),
  })
  return ref
}

/**
 * Parses `where`.
 * @param tables by their oids. Undefined: a filter cannot name relations
 * @throws ListenqlError FILTER_INVALID, LIMIT_EXCEEDED, with GraphQL names in the messages
 */
export function createFilterReader(
  table: TypedTable,
  limits?: FilterLimits,
  tables?: ReadonlyMap<string, TypedTable>,
): (where: unknown) => Filter {
  const columns = byField(table)
  const relations = tables && scopesOf(table, tables)
  return where =>
    where === undefined || where === null ? EVERYTHING : parseFilter(columns, where, limits, relations)
}

function byField({ columns }: TypedTable): ReadonlyMap<string, Column> {
  return new Map(columns.map(({ field, column }) => [field, column]))
}

/** The relations of a table, each with those of the other table, made when a filter first names it: relations lead round in circles. */
function scopesOf(
  table: TypedTable,
  tables: ReadonlyMap<string, TypedTable>,
): ReadonlyMap<string, RelatedScope> {
  return new Map(
    table.relations.map(relation => {
      const to = tables.get(relation.to) as TypedTable
      let relations: ReadonlyMap<string, RelatedScope> | undefined
      const scope: RelatedScope = {
        link: linkOf(table, relation, to),
        isMany: relation.isMany,
        columns: byField(to),
        get relations() {
          relations ??= scopesOf(to, tables)
          return relations
        },
      }
      return [relation.field, scope]
    }),
  )
}
