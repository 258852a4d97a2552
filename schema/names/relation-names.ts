import type { ForeignKey } from '../../src/catalog/foreign-keys.js'
import { assignNames } from './assign-names.js'
import { camelCase, typeCase } from './identifiers.js'
import type { NamedColumn, TableNames } from './table-names.js'

/** A field of a row that leads to rows of another table, or of the same, by a foreign key. */
export interface NamedRelation {
  readonly field: string
  /** `<field>Aggregate`, where there may be many rows. */
  readonly aggregateField: string | undefined
  /** Forward: to the row that this row references. Backward: to the rows that reference this row. */
  readonly direction: 'forward' | 'backward'
  readonly isMany: boolean
  /** Oid of the table that it leads to. */
  readonly to: string
  /** Columns of this table and of the other one, by their names, that must be equal by the operators, in the same order. */
  readonly local: readonly string[]
  readonly remote: readonly string[]
  readonly operators: readonly string[]
  readonly collations: readonly (string | null)[]
}

/** A relation before it has its name. */
interface Draft extends Omit<NamedRelation, 'field' | 'aggregateField'> {
  readonly wanted: string
  /** The name if another field has the wanted one. */
  readonly fallback: string
  readonly foreignKey: ForeignKey
  /** Whether the comment on the constraint gives the name. */
  readonly isGiven: boolean
}

/** Names that the comment on a constraint gives, in pg_graphql's form: `@graphql({"foreign_name": "author", "local_name": "posts"})`. */
interface GivenNames {
  /** Of the relation from this table to the referenced row. */
  readonly forward?: string
  /** Of the relation from the referenced row to the rows of this table. */
  readonly backward?: string
}

/**
 * Names the relations of each table, by the oids of the tables. The same tables get the same names, in any order.
 *
 * 1. Names in the comment on the constraint take precedence.
 * 2. To the referenced row: the column without `_id`, `_uuid`, `_fk` or `_key` (`customer_id`: `customer`). Several columns: their common
 *    prefix (`boss_org`, `boss_no`: `boss`), else the field of the referenced table. If the table has another field of that name:
 *    `customersByCustomer`, or `bossRow` if the table references itself.
 * 3. To the rows that reference a row: the field of their table (`orders`), if it has one foreign key to this table, or its column is
 *    named after this table; otherwise, and for a table that references itself, `matchesByHome`.
 * 4. Where the comment on a table or column gives it another name, rules 2 and 3 take that name.
 * 5. What still has the name of another field gets `_2`, `_3`, … at its end.
 *
 * @param onWarning gets a line for each relation whose name another one, or a column, has
 * @param onIgnored gets a line for each comment on a constraint that cannot be used
 */
export function nameRelations(
  tables: readonly TableNames[],
  taken: ReadonlySet<string>,
  onWarning: (message: string) => void,
  onIgnored: (message: string) => void,
): ReadonlyMap<string, readonly NamedRelation[]> {
  const byRelid = new Map(tables.map(names => [names.table.relid, names]))
  const drafts = new Map<string, Draft[]>(tables.map(({ table }) => [table.relid, []]))
  for (const child of tables) {
    const keys = (child.table.foreignKeys ?? []).filter(key => fits(key, child, byRelid))
    for (const key of keys) {
      const parent = byRelid.get(key.references) as TableNames
      const given = givenNames(key, child, onIgnored)
      const rivals = keys.filter(other => other.references === key.references)
      drafts.get(child.table.relid)?.push(forward(key, child, parent, given.forward))
      drafts.get(parent.table.relid)?.push(backward(key, child, parent, rivals, given.backward, onWarning))
    }
  }
  return new Map(
    tables.map(names => [
      names.table.relid,
      assign(names, drafts.get(names.table.relid) ?? [], taken, onWarning),
    ]),
  )
}

/** Whether both tables are in the schema with all columns of the key. */
function fits(
  { columns, references, referencedColumns }: ForeignKey,
  child: TableNames,
  byRelid: ReadonlyMap<string, TableNames>,
): boolean {
  const parent = byRelid.get(references)
  const has = (names: TableNames | undefined, wanted: readonly string[]) =>
    wanted.every(name => names?.table.columns.some(column => column.name === name))
  return has(child, columns) && has(parent, referencedColumns)
}

function forward(key: ForeignKey, child: TableNames, parent: TableNames, given: string | undefined): Draft {
  const role = roleOf(key, child)
  return {
    foreignKey: key,
    direction: 'forward',
    isMany: false,
    to: key.references,
    local: key.columns,
    remote: key.referencedColumns,
    operators: key.operators,
    collations: key.collations,
    wanted: given ?? (role === undefined ? parent.queryField : camelCase(role)),
    // The other direction of a reference to the same table is `peopleByBoss`.
    fallback:
      parent === child
        ? `${camelCase(role ?? wordOf(parent))}Row`
        : `${parent.queryField}By${suffixOf(key, child)}`,
    isGiven: given !== undefined,
  }
}

function backward(
  key: ForeignKey,
  child: TableNames,
  parent: TableNames,
  rivals: readonly ForeignKey[],
  given: string | undefined,
  onWarning: (message: string) => void,
): Draft {
  const isSelf = child === parent
  const long = `${child.queryField}By${suffixOf(key, child)}`
  const isPlain = !isSelf && (rivals.length === 1 || isNamedAfter(key, child, parent))
  if (!isSelf && !isPlain && given === undefined) {
    const others = rivals.filter(other => other !== key).map(({ name }) => JSON.stringify(name))
    onWarning(
      `the relation of ${shown(parent)} to ${shown(child)} by foreign key ${JSON.stringify(key.name)} is ${long} in GraphQL, not ${child.queryField}: ${others.join(', ')} also ${others.length === 1 ? 'references' : 'reference'} it`,
    )
  }
  return {
    foreignKey: key,
    direction: 'backward',
    isMany: !key.isUnique,
    to: child.table.relid,
    local: key.referencedColumns,
    remote: key.columns,
    operators: key.operators,
    collations: key.collations,
    wanted: given ?? (isPlain ? child.queryField : long),
    fallback: long,
    isGiven: given !== undefined,
  }
}

/** Columns first, then names of comments, then forward, then backward; equal wishes by the name of the constraint. */
function assign(
  names: TableNames,
  drafts: readonly Draft[],
  taken: ReadonlySet<string>,
  onWarning: (message: string) => void,
): NamedRelation[] {
  const fields = new Set([...names.columns.map(({ field }) => field), ...taken])
  const brings = ({ isMany }: Draft, name: string) => (isMany ? [name, `${name}Aggregate`] : [name])
  const claimed = new Set(fields)
  const ordered = [...drafts].sort((a, b) => compare(rankOf(a), rankOf(b)))
  const settled = ordered.map(draft => {
    const isFree = brings(draft, draft.wanted).every(name => !claimed.has(name))
    const wanted = isFree ? draft.wanted : draft.fallback
    for (const name of brings(draft, wanted)) claimed.add(name)
    return { draft, wanted }
  })
  const found = assignNames(
    settled.map(({ draft, wanted }, rank) => ({
      item: draft,
      wanted,
      brings: name => brings(draft, name),
      rank: [rank],
    })),
    fields,
  )
  return ordered.map(draft => {
    const { wanted, fallback, foreignKey, isGiven, ...relation } = draft
    const field = found.get(draft) as string
    if (field !== wanted)
      onWarning(
        `the relation of ${shown(names)} by foreign key ${JSON.stringify(foreignKey.name)} is ${field} in GraphQL: another field has the name ${wanted}`,
      )
    return { ...relation, field, aggregateField: draft.isMany ? `${field}Aggregate` : undefined }
  })
}

function rankOf({ isGiven, direction, foreignKey, to }: Draft): readonly string[] {
  return [isGiven ? '0' : '1', direction === 'forward' ? '0' : '1', foreignKey.name, to]
}

function compare(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((part, i) => part !== b[i])
  if (at < 0) return 0
  return (a[at] as string) < (b[at] as string) ? -1 : 1
}

/** What the referenced row is to this row: the column without its suffix, or the prefix that all columns have. */
function roleOf(key: ForeignKey, child: TableNames): string | undefined {
  const columns = wordsOf(key, child)
  const [only = '', ...more] = columns
  if (more.length === 0) return only.replace(/(?<=.)_(id|uuid|fk|key)$/i, '')
  const parts = columns.map(column => column.split('_'))
  const [first = []] = parts
  let length = 0
  while (parts.every(words => length + 1 < words.length && words[length] === first[length])) length++
  return length === 0 ? undefined : first.slice(0, length).join('_')
}

/** The columns of a key. A name that a comment gives is in camelCase: `buyerId` is read as `buyer_Id`. */
function wordsOf({ columns }: ForeignKey, { columns: named }: TableNames): readonly string[] {
  return columns.map(name => {
    const { field, isGiven } = named.find(({ column }) => column.name === name) as NamedColumn
    return isGiven ? field.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_') : name
  })
}

/** The name of a table without that of its schema. */
function wordOf({ table, queryField, isGiven }: TableNames): string {
  return isGiven ? queryField : table.name
}

function suffixOf(key: ForeignKey, child: TableNames): string {
  const role = roleOf(key, child)
  const words = role === undefined ? wordsOf(key, child) : [role]
  return words.map(word => typeCase(camelCase(word)).replace(/^_/, '')).join('And')
}

/** `team_id` is named after table `teams`. */
function isNamedAfter(key: ForeignKey, child: TableNames, parent: TableNames): boolean {
  const [only, ...more] = key.columns
  if (only === undefined || more.length > 0) return false
  const role = camelCase(roleOf(key, child) as string).toLowerCase()
  const name = camelCase(wordOf(parent)).toLowerCase()
  return (
    role === name ||
    role === name.replace(/ies$/, 'y') ||
    role === name.replace(/e?s$/, '') ||
    role === name.replace(/s$/, '')
  )
}

function givenNames(
  { name, comment }: ForeignKey,
  child: TableNames,
  onIgnored: (message: string) => void,
): GivenNames {
  const [, json] = /@graphql\((\{[\s\S]*\})\)/.exec(comment ?? '') ?? []
  if (json === undefined) return {}
  const refuse = (why: string) => {
    onIgnored(
      `the comment on foreign key ${JSON.stringify(name)} of ${shown(child)} names no relation: ${why}`,
    )
    return {}
  }
  let names: unknown
  try {
    names = JSON.parse(json)
  } catch {
    return refuse('it is not JSON')
  }
  const { foreign_name: forward, local_name: backward } = names as Record<string, unknown>
  for (const given of [forward, backward])
    if (given !== undefined && !(typeof given === 'string' && /^(?!__)[A-Za-z_]\w*$/.test(given)))
      return refuse(`${JSON.stringify(given)} is not a name in GraphQL`)
  return {
    ...(typeof forward === 'string' && { forward }),
    ...(typeof backward === 'string' && { backward }),
  }
}

function shown({ table: { schema, name } }: TableNames): string {
  return `table ${JSON.stringify(`${schema}.${name}`)}`
}
