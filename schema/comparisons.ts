import { type Operator, operatorsOf } from '../src/filters/index.js'
import { type Building, type TypedColumn, typeParam } from './table-schema.js'

const DESCRIPTIONS: Readonly<Record<Operator, string>> = {
  eq: 'Equal to this.',
  neq: 'Not equal to this. A null is neither equal nor unequal: use isNull.',
  gt: 'Greater than this.',
  gte: 'Greater than or equal to this.',
  lt: 'Less than this.',
  lte: 'Less than or equal to this.',
  in: 'Equal to one of these; an empty list matches nothing.',
  notIn: 'Equal to none of these, and not null; an empty list matches everything.',
  like: 'Matches this pattern of SQL: % stands for any text, _ for any character, \\ escapes the next character.',
  ilike: 'Like `like`, but ignores the case of the letters A to Z.',
  isNull: 'True: the value is null. False: it is not.',
}

export type ComparisonRef = ReturnType<typeof addComparison>

/** Returns the comparison input of a column, shared by all columns with the same operators. */
export function createComparisons(building: Building): (column: TypedColumn) => ComparisonRef {
  const known = new Map<string, ComparisonRef>()
  return column => {
    const operators = operatorsOf(column.column)
    const name = comparisonName(column, operators)
    const ref = known.get(name) ?? addComparison(building, name, column, operators)
    known.set(name, ref)
    return ref
  }
}

/** reserved.ts has the names of all but those of enums. Each name stands for one set of operators. */
function comparisonName({ type: { item } }: TypedColumn, operators: readonly Operator[]): string {
  if (operators.length === 1) return 'NullComparison'
  if (item.name !== 'String' || operators.includes('like')) return `${item.name}Comparison`
  return operators.includes('lt') ? 'StringOrderComparison' : 'StringEqualityComparison'
}

function addComparison(
  building: Building,
  name: string,
  { type: { item } }: TypedColumn,
  operators: readonly Operator[],
) {
  const value = typeParam(building, item)
  return building.builder.inputType(name, {
    description: descriptionOf(name, operators),
    fields: t =>
      Object.fromEntries(
        operators.map(operator => {
          const description = DESCRIPTIONS[operator]
          if (operator === 'isNull') return [operator, t.boolean({ description })]
          if (operator === 'in' || operator === 'notIn')
            return [operator, t.field({ type: [value], description })]
          return [operator, t.field({ type: value, description })]
        }),
      ),
  })
}

function descriptionOf(name: string, operators: readonly Operator[]): string {
  if (name === 'NullComparison') return 'Conditions on a column of arrays, JSON or composite values.'
  if (operators.includes('like')) return 'Conditions on a text; all must hold. Texts compare by code point.'
  if (name === 'StringEqualityComparison')
    return 'Conditions on a column that is compared by its text in Postgres; all must hold.'
  return 'Conditions on a column of this type; all must hold.'
}
