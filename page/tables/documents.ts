import { type Condition, isComplete, orderOf, type View } from './view.js'
import { bareType, type Column, isNewestFirst, shownColumns, type WatchedTable } from './watched-table.js'

/** Changes of a row within this time arrive as one, in ms: more often than that, no eye can follow. */
const EVERY_MS = 100

/**
 * The live query of one page of rows.
 * @param more asks for so many rows more than the page has, to know whether another page follows
 */
export function pageDocument(table: WatchedTable, view: View, more = 0): string {
  const size = view.size === 'all' ? 100 : view.size
  const order = orderOf(table, view)
  // The key in ascending order is the server's own order.
  const isDefault = !view.order && !isNewestFirst(table)
  return field(
    table.queryField,
    {
      where: whereOf(table, view.conditions),
      orderBy:
        order && !isDefault ? `[{ ${order.field}: ${order.isDescending ? 'DESC' : 'ASC'} }]` : undefined,
      limit: String(size + more),
      offset: view.page > 0 ? String(view.page * size) : undefined,
    },
    `rows { ${fieldsOf(table)} }`,
  )
}

/**
 * The subscription to all rows that match, and then to their changes. It does not select `transaction`: `liveRows` would deliver each
 * transaction by itself, and the page would be drawn as often.
 */
export function rowsDocument(table: WatchedTable, { conditions }: Pick<View, 'conditions'>): string {
  const about = `operation key { ${table.key.join(' ')} } row { ${fieldsOf(table)} }`
  const given = { initial: 'true', where: whereOf(table, conditions), every: String(EVERY_MS) }
  return field(table.subscriptionField, given, about)
}

/** The subscription to the changes of a table without a key, where a deleted row can only be shown by its old values. */
export function changesDocument(table: WatchedTable, { conditions }: Pick<View, 'conditions'>): string {
  const fields = fieldsOf(table)
  return field(
    table.subscriptionField,
    { where: whereOf(table, conditions) },
    `operation at old { ${fields} } row { ${fields} }`,
  )
}

function field(name: string, given: Readonly<Record<string, string | undefined>>, selection: string): string {
  const args = Object.entries(given).flatMap(([key, value]) =>
    value === undefined ? [] : `${key}: ${value}`,
  )
  return `subscription { ${name}${args.length > 0 ? `(${args.join(', ')})` : ''} { ${selection} } }`
}

const fieldsOf = (table: WatchedTable) =>
  shownColumns(table)
    .map(column => column.field)
    .join(' ')

function whereOf(table: WatchedTable, conditions: readonly Condition[]): string | undefined {
  const parts = conditions.filter(isComplete).flatMap(({ field: name, operator, value }) => {
    const column = table.columns.find(each => each.field === name)
    return column ? `{ ${name}: { ${operator}: ${operand(column, operator, value)} } }` : []
  })
  // Two conditions on one column would be one name twice in one object.
  return parts.length > 1 ? `{ and: [${parts.join(', ')}] }` : parts[0]
}

function operand(column: Column, operator: Condition['operator'], value: string): string {
  if (operator === 'isNull') return String(value !== 'false')
  const literal = (text: string) => literalOf(bareType(column), text)
  if (operator !== 'in' && operator !== 'notIn') return literal(value)
  return `[${value
    .split(',')
    .map(part => literal(part.trim()))
    .join(', ')}]`
}

/** Scalars that GraphQL has no literal for are texts. What is not of the type is sent as a text, and the server says what is wrong. */
const TEXTS = [
  ...[
    'BigInt',
    'Bytes',
    'Date',
    'DateTime',
    'Decimal',
    'Duration',
    'LocalDateTime',
    'LocalTime',
    'String',
    'Time',
    'UUID',
  ],
]

function literalOf(type: string, value: string): string {
  const text = value.trim()
  if (type === 'Int' && /^-?(0|[1-9]\d*)$/.test(text)) return text
  if (type === 'Float' && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return text
  if (type === 'Boolean' && /^(true|false)$/.test(text)) return text
  const isEnum = !TEXTS.includes(type) && !['Int', 'Float', 'Boolean'].includes(type)
  if (isEnum && /^[_A-Za-z]\w*$/.test(text)) return text
  return JSON.stringify(type === 'String' ? value : text)
}
