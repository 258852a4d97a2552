import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isLeafType,
  isListType,
  isObjectType,
  parse,
  print,
} from 'graphql'

type Fields = readonly GraphQLField<unknown, unknown>[]

interface Table {
  /** The field of its live query. */
  readonly field: GraphQLField<unknown, unknown>
  readonly row: GraphQLObjectType
  /** Fields of a row that lead to linked rows, lists first. */
  readonly links: Fields
}

/** So many columns fit on a small screen. */
const COLUMNS = 4
/** Types of keys whose greatest value usually belongs to the newest row. */
const GROWING = ['Int', 'BigInt', 'Decimal', 'Float', 'Date', 'DateTime', 'LocalDateTime']

/**
 * Returns a live query of a table, one with linked rows if there is such a table.
 *
 * @param without fields of tables that are left out
 * @returns undefined if no other table is watched
 */
export function tableExample(schema: GraphQLSchema, without: readonly string[] = []): string | undefined {
  const roots = fieldsOf(schema.getSubscriptionType())
  const tables = tablesOf(roots).filter(({ field }) => !without.includes(field.name))
  const table = tables.find(hasList) ?? tables.find(({ links }) => links.length > 0) ?? tables[0]
  if (!table) return
  const [link] = table.links
  const key = growingKey(roots, table)
  const order = key === undefined ? '' : `orderBy: [{ ${key}: DESC }], `
  return print(
    parse(`subscription {
      ${table.field.name}(${order}limit: 5) { rows { ${columnsOf(table.row)} ${link ? selectionOf(link) : ''} } }
    }`),
  )
}

function tablesOf(roots: Fields): Table[] {
  const tables = roots.flatMap(field => {
    const { rows } = objectOf(field)?.getFields() ?? {}
    const row = rows && objectOf(rows)
    return row && hasArgument(field, 'limit') ? [{ field, row }] : []
  })
  const rowTypes = new Set<unknown>(tables.map(({ row }) => row))
  return tables.map(table => ({
    ...table,
    links: fieldsOf(table.row)
      .filter(field => rowTypes.has(objectOf(field)))
      .sort((a, b) => Number(isList(b)) - Number(isList(a))),
  }))
}

/** The first column of the primary key, which the changes of the table show, if new rows have greater values. */
function growingKey(roots: Fields, { row, field }: Table): string | undefined {
  const changes = roots.map(root => objectOf(root)?.getFields())
  const change = changes.find(fields => fields?.row && objectOf(fields.row) === row)
  const [column] = fieldsOf(change?.key && objectOf(change.key))
  const isOrdered = field.args.some(({ name }) => name === 'orderBy')
  return column && isOrdered && GROWING.includes(String(getNullableType(column.type)))
    ? column.name
    : undefined
}

function selectionOf(link: GraphQLField<unknown, unknown>): string {
  return `${link.name}${isList(link) ? '(limit: 3)' : ''} { ${columnsOf(objectOf(link))} }`
}

function columnsOf(row: GraphQLObjectType | undefined): string {
  const columns = fieldsOf(row).filter(({ type }) => isLeafType(getNamedType(type)))
  return columns
    .slice(0, COLUMNS)
    .map(({ name }) => name)
    .join(' ')
}

function fieldsOf(type: GraphQLObjectType | null | undefined): Fields {
  return Object.values(type?.getFields() ?? {})
}

function objectOf({ type }: GraphQLField<unknown, unknown>): GraphQLObjectType | undefined {
  const named = getNamedType(type)
  return isObjectType(named) ? named : undefined
}

function hasArgument({ args }: GraphQLField<unknown, unknown>, argument: string): boolean {
  return args.some(({ name }) => name === argument)
}

function isList({ type }: GraphQLField<unknown, unknown>): boolean {
  return isListType(getNullableType(type))
}

function hasList({ links }: Table): boolean {
  return links.some(isList)
}
