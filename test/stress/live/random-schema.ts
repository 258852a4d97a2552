import type { Random } from '../random.js'
import { randomPolicies } from './policies.js'
import type { Column, ColumnType, Reference, Schema, Table } from './schema.js'

const NAMES = ['apples', 'boats', 'cities', 'drums', 'eagles', 'forts', 'gates', 'hats']

type Part = ColumnType

/** Each schema has a table with each of these keys. */
const KEYS: readonly (readonly Part[])[] = [
  ['int'],
  ['bigint'],
  ['numeric'],
  ['text', 'int'],
  ['numeric', 'bigint'],
]

/** What happens to rows that reference a row, and when that is checked. Each schema has several of these. */
const ACTIONS: readonly Pick<Reference, 'actions' | 'isDeferred'>[] = [
  { actions: 'on update cascade on delete cascade', isDeferred: false },
  { actions: 'on update cascade on delete cascade', isDeferred: true },
  { actions: 'on update cascade on delete set null', isDeferred: false },
  { actions: 'on update set null on delete cascade', isDeferred: true },
  { actions: '', isDeferred: true },
]

/**
 * Draws tables with keys of every kind, one of them without a key and two in partitions, and foreign keys of every kind between them:
 * composite, to the same table, deferred, cascading, in circles, unique, as a part of the key.
 */
export function randomSchema(random: Random): Schema {
  const names = random.shuffle(NAMES)
  const grades = random.shuffle(['low', 'middle', 'high', 'top'])
  const actions = random.shuffle(ACTIONS)
  const keys = random.shuffle(KEYS)
  const references: Reference[] = []
  const drafts = keys.map((key, i): Table => {
    const columns = key.map((type, j): Column => ({ name: `k${j + 1}`, type, isRequired: true, domain: key.length > 1 ? 5 : 20 }))
    return { name: names[i] as string, columns, key: columns.map(({ name }) => name), partitions: undefined }
  }) // biome-ignore format: a table
  const keyless: Table = { name: names[KEYS.length] as string, columns: [], key: [], partitions: 'list' }
  const tables = [...drafts, keyless].map(withValues)

  /** Adds a foreign key, with the columns that it needs unless parts of the key serve. */
  function refer(from: number, to: number, own?: readonly string[]): void {
    const child = tables[from] as Table
    const parent = tables[to] as Table
    const number = references.length + 1
    const columns = parent.key.map((name, i): Column => {
      const key = parent.columns.find(column => column.name === name) as Column
      // The wider type of an integer is equal to it, too.
      const type = key.type === 'int' && random.chance(0.5) ? 'bigint' : key.type
      const letter = parent.key.length > 1 ? 'ab'[i] : ''
      return { ...key, type, name: `r${number}${letter}`, isRequired: false, ...(!child.key.length && { scale: 1 }) }
    }) // biome-ignore format: a column
    if (!own) tables[from] = { ...child, columns: [...child.columns, ...columns] }
    const drawn = actions[number % actions.length] as (typeof ACTIONS)[number]
    // A column of a key can be neither null nor set to null.
    const rule = own
      ? { actions: 'on update cascade on delete cascade', isDeferred: drawn.isDeferred }
      : drawn
    references.push({
      name: `reference_${number}`,
      from: child.name,
      to: parent.name,
      columns: own ?? columns.map(({ name }) => name),
      toColumns: parent.key,
      ...rule,
      isUnique: false,
      forward: `to${number}`,
      backward: `from${number}`,
    })
  }

  const composite = drafts.findIndex(({ key }) => key.length > 1)
  refer(tables.length - 1, composite)
  for (let from = 1; from < tables.length; from++)
    refer(from, random.int(0, Math.min(from, drafts.length) - 1))
  const self = random.int(0, drafts.length - 1)
  refer(self, self)
  refer(random.int(0, 1), random.int(2, drafts.length - 1)) // a circle, or a shorter way
  const part = partOfKey(drafts)
  if (part) refer(part.from, part.to, [part.column])

  // None if all keys have several columns.
  const isUnique: (typeof references)[number] | undefined = random.pick(
    references.filter(({ columns, from }) => columns.length === 1 && from !== keyless.name),
  )
  const hashed = random.pick(drafts.filter(({ name }) => name !== isUnique?.from)).name
  const schema: Schema = {
    grades,
    policies: [],
    references: references.map(one => (one === isUnique ? { ...one, isUnique: true } : one)),
    tables: tables.map(table => (table.name === hashed ? { ...table, partitions: 'hash' as const } : table)),
  }
  // Half of the schemas have none: the server then reads with its own login.
  return { ...schema, policies: random.chance(0.5) ? randomPolicies(schema, random) : [] }

  function withValues(table: Table): Table {
    const isKeyless = table.key.length === 0
    const types = random.shuffle<ColumnType>(['int', 'bigint', 'numeric', 'numeric', 'text', 'bool', 'date'])
    const values = ['grade' as const, ...types.slice(0, 3)].map((type, i): Column => {
      // Rows without a key are sorted by all columns: equal numbers must have one text. The others are numbers of any scale, or money.
      const scale = type === 'numeric' && (isKeyless || random.chance(0.5)) ? { scale: 2 } : {}
      return { name: `v${i + 1}`, type, ...scale, isRequired: i > 0 && random.chance(0.3), domain: 8 }
    })
    return { ...table, columns: [...table.columns, ...values] }
  }
}

/** A column of a composite key that can also reference the key of another table. */
function partOfKey(tables: readonly Table[]): { from: number; to: number; column: string } | undefined {
  for (const [from, { key, columns }] of tables.entries()) {
    if (key.length < 2) continue
    for (const [to, parent] of tables.entries()) {
      const single = parent.key.length === 1 ? parent.columns[0] : undefined
      const column = columns.find(({ name, type }) => key.includes(name) && type === single?.type)
      if (column && to < from) return { from, to, column: column.name }
    }
  }
  return undefined
}
