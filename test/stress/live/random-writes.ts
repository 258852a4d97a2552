import type { Random } from '../random.js'
import { type Column, columnOf, type Reference, type Schema, type Table } from './schema.js'
import { randomValue, toSql } from './values.js'

/** Rows that a table has at most, or nearly, so that the model is quick. */
const MOST_ROWS = 40
/** Distance from the first row at which a referenced row is chosen. */
const FARTHEST = 20

/** Inserts a row that references rows that exist. */
export function insertOf(schema: Schema, table: Table, random: Random): string {
  const literals = table.columns.map(column => [column.name, anyLiteral(column, schema, random)] as const)
  const values = new Map<string, string>(literals)
  const joins = referencesOf(schema, table).flatMap((reference, i) => {
    const { columns, to, toColumns } = reference
    const isRequired = isPartOfKey(reference, table)
    if (!isRequired && random.chance(0.2)) {
      for (const name of columns) values.set(name, 'null')
      return []
    }
    for (const [j, name] of columns.entries()) values.set(name, `p${i}.${toColumns[j]}`)
    const rows = `select ${toColumns.join(', ')} from ${to} order by ${toColumns.join(', ')} offset ${random.int(0, FARTHEST)} limit 1`
    return [`${isRequired ? 'join' : 'left join'} lateral (${rows}) p${i} on true`]
  })
  return `insert into ${table.name} (${[...values.keys()].join(', ')}) select ${[...values.values()].join(', ')}
    from (select) one ${joins.join(' ')} where (select count(*) from ${table.name}) < ${MOST_ROWS}`
}

/** A statement that moves rows into and out of results, and to the edges of lists. Constraints may refuse it. */
export function randomStatement(schema: Schema, random: Random): string {
  const table = random.pick(schema.tables)
  const { name, key, columns } = table
  const where = `where ${anyCondition(schema, table, random)}`
  const references = referencesOf(schema, table).filter(reference => !isPartOfKey(reference, table))
  const reference = references.length > 0 ? random.pick(references) : undefined
  const values = columns.filter(column => !key.includes(column.name) && column.name.startsWith('v'))
  const value = random.pick(values)
  const kinds: (() => string)[] = [
    () => upsert(schema, table, random),
    () => upsert(schema, table, random),
    () => `update ${name} set ${value.name} = ${anyLiteral(value, schema, random)} ${where}`,
    () => `update ${name} set ${value.name} = ${anyLiteral(value, schema, random)} ${where}`,
    () => `update ${name} set ${values.map(one => `${one.name} = ${anyLiteral(one, schema, random)}`).join(', ')} ${where}`,
    () => `delete from ${name} ${where}`,
    ...(reference ? [() => `update ${name} set ${newReference(schema, table, reference, random)} ${where}`] : []),
    ...(key.length > 0 ? [() => newKey(schema, table, random)] : []),
  ] // biome-ignore format: a table
  return random.pick(kinds)()
}

function upsert(schema: Schema, table: Table, random: Random): string {
  const insert = insertOf(schema, table, random)
  if (table.key.length === 0) return insert
  const others = table.columns.filter(({ name }) => !table.key.includes(name))
  const sets = others.map(({ name }) => `${name} = excluded.${name}`)
  return `${insert} on conflict (${table.key.join(', ')}) do update set ${sets.join(', ')}`
}

/** To another row, to none, to a row that may come later in the transaction, or NULL in one column of several. */
function newReference(schema: Schema, table: Table, reference: Reference, random: Random): string {
  const { columns, to, toColumns, isDeferred } = reference
  const list = columns.join(', ')
  if (random.chance(0.15)) return `${random.pick(columns)} = null`
  if (isDeferred && random.chance(0.2))
    return columns
      .map(
        name =>
          `${name} = ${toSql(columnOf(table, name), randomValue(columnOf(table, name), schema, random))}`,
      )
      .join(', ')
  // A number that is equal to the referenced one and has another text.
  const selected = toColumns.map((name, i) =>
    columnOf(table, columns[i] as string).type === 'numeric' && random.chance(0.5) ? `${name} * 1.0` : name,
  )
  return `(${list}) = (select ${selected.join(', ')} from ${to} order by ${toColumns.join(', ')} offset ${random.int(0, FARTHEST)} limit 1)`
}

function newKey(schema: Schema, table: Table, random: Random): string {
  const column = columnOf(table, random.pick(table.key))
  const own = table.key.map(name => literalCondition(schema, columnOf(table, name), random))
  return `update ${table.name} set ${column.name} = ${toSql(column, randomValue(column, schema, random))} where ${own.join(' and ')}`
}

function anyCondition(schema: Schema, { columns, key }: Table, random: Random): string {
  const byKey = key.length > 0 && random.chance(0.7)
  const chosen = byKey ? columns.filter(({ name }) => key.includes(name)) : [random.pick(columns)]
  return chosen.map(column => literalCondition(schema, column, random)).join(' and ')
}

function literalCondition(schema: Schema, column: Column, random: Random): string {
  return `${column.name} = ${toSql(column, randomValue(column, schema, random))}`
}

function anyLiteral(column: Column, schema: Schema, random: Random): string {
  if (!column.isRequired && random.chance(0.2)) return 'null'
  return toSql(column, randomValue(column, schema, random))
}

function referencesOf({ references }: Schema, { name }: Table): Reference[] {
  return references.filter(({ from }) => from === name)
}

function isPartOfKey({ columns }: Reference, { key }: Table): boolean {
  return columns.every(column => key.includes(column))
}
