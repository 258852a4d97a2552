import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { assignGivenNames, type GivenCandidate } from './assign-given-names.js'
import { nameColumns } from './column-names.js'
import { type EnumNames, enumsOf, nameLabels, type PostgresEnum } from './enum-names.js'
import { camelCase, fieldCase, isPlain, typeCase } from './identifiers.js'
import { readComment } from './read-comment.js'
import { type NamedRelation, nameRelations } from './relation-names.js'
import {
  RESERVED_COLUMNS,
  RESERVED_QUERY_FIELDS,
  RESERVED_SUBSCRIPTION_FIELDS,
  RESERVED_TYPES,
} from './reserved.js'
import type { TableNames } from './table-names.js'

/** The names of a table, and of what its rows lead to by foreign keys. */
export interface NamedTable extends TableNames {
  readonly relations: readonly NamedRelation[]
}

export interface Names {
  /** In the order given. */
  readonly tables: readonly NamedTable[]
  readonly enums: readonly EnumNames[]
}

type Thing = { readonly schema: string; readonly name: string } & (
  | { readonly kind: 'table'; readonly table: WatchedTable }
  | { readonly kind: 'enum'; readonly type: PostgresEnum }
)

/**
 * Chooses a name in GraphQL for every table, column, enum and label, whatever they are called in Postgres. The same tables get the
 * same names, in any order.
 *
 * 1. Words are the parts between underscores and characters that are not letters or digits. A table or column is its words in
 *    camelCase, `user_id` and `UserId` both `userId`; a name in capitals counts as one in lower case. Types begin with a
 *    capital: table `chat_rooms` has the field `chatRooms` and the type `ChatRooms`. One underscore in front stays.
 * 2. A table or enum of a schema other than `public` has that schema's words in front: `chat.messages` is `chatMessages`.
 * 3. GraphQL's names are ASCII: `é` is `e`, `ß` is `ss`, a letter without an ASCII equivalent is `u` and its code in hex (`日` is
 *    `u65e5`). A name that begins with a digit gets an underscore in front. A name without any letter or digit consists of such codes.
 * 4. A table or enum of `public` whose types or fields would have a name of listenql's own (`Operation`, `channels`, …) has
 *    `public` in front: `public.channels` is `publicChannels`. A column that would be named `and`, `or`, `not`, which
 *    belong to filters, or like a property of every JavaScript object (`constructor`), gets an underscore at its end: `and_`.
 * 5. Labels of enums are kept if they are valid in GraphQL. Otherwise other characters become underscores, rule 3 applies,
 *    `true`, `false`, `null` get an underscore at their end, and the empty label is `empty_`.
 * 6. Relations are named by `nameRelations`.
 * 7. A comment on a table or column that begins with the line `@name person` gives the name: exactly that of a column; that of a table
 *    with a small letter in its fields and a capital in its types, without the schema in front. It takes precedence over rules 1 to 4,
 *    but takes no name away: if another table, enum or column has the name, or listenql itself, the tag is ignored.
 * 8. If two would have the same name, or one the name of another's type (table `people_filter` and the type
 *    `PeopleFilter` of table `people`), the first keeps it and the others get `_2`, `_3`, … at the end of the table's name, the
 *    column's or the label's. The order is: shorter names of tables and enums, tables before enums, names of ASCII letters, digits and
 *    underscores before others, `public` before other schemas, then by code unit of schema and name.
 *
 * @param onWarning gets a line for each name from rules 3 (except case and underscores), 4, 5, 6 and 8, with the old and the new name
 * @param onIgnored gets a line for each comment that gives a name which cannot be used. Default: `onWarning` gets it
 */
export function nameEverything(
  tables: readonly WatchedTable[],
  onWarning: (message: string) => void = () => {},
  onIgnored = onWarning,
): Names {
  const things: Thing[] = [
    ...tables.map(table => ({ kind: 'table' as const, schema: table.schema, name: table.name, table })),
    ...enumsOf(tables).map(type => ({ kind: 'enum' as const, schema: type.schema, name: type.name, type })),
  ]
  const { names: stems, refused } = assignGivenNames(things.map(candidateOf), RESERVED)
  const tableNames: TableNames[] = []
  const enumNames: EnumNames[] = []
  for (const thing of things) {
    const stem = stems.get(thing) as string
    const shown = `${thing.kind} ${JSON.stringify(`${thing.schema}.${thing.name}`)}`
    const isGiven = stem === givenStem(thing) && stem !== stemOf(thing)
    const problem = problemWith(thing, refused)
    if (problem) onIgnored(`@name of ${shown} is ignored, and the table is ${stem} in GraphQL: ${problem}`)
    const reason = isGiven ? undefined : whyRenamed(thing, stem)
    if (reason)
      onWarning(`${shown} is ${thing.kind === 'table' ? stem : typeCase(stem)} in GraphQL: ${reason}`)
    const warn = (message: string) => onWarning(`${message} (${shown})`)
    const ignore = (message: string) => onIgnored(`${message} (${shown})`)
    if (thing.kind === 'enum') enumNames.push(nameLabels(thing.type, typeCase(stem), warn))
    else
      tableNames.push({
        ...namesOf(thing.table, stem),
        isGiven,
        columns: nameColumns(thing.table.columns, warn, ignore),
      })
  }
  const relations = nameRelations(tableNames, RESERVED_COLUMNS, onWarning, onIgnored)
  return {
    tables: tableNames.map(names => ({ ...names, relations: relations.get(names.table.relid) ?? [] })),
    enums: enumNames,
  }
}

const RESERVED: ReadonlySet<string> = new Set([
  ...RESERVED_TYPES.map(name => `type ${name}`),
  ...RESERVED_QUERY_FIELDS.map(name => `query ${name}`),
  ...RESERVED_SUBSCRIPTION_FIELDS.map(name => `subscription ${name}`),
])

function candidateOf(thing: Thing): GivenCandidate<Thing> {
  const wanted = stemOf(thing)
  const { kind, schema, name } = thing
  const oddness = isPlain(name) && isPlain(schema) ? 0 : 1
  const rank = [wanted.length, kind === 'table' ? 0 : 1, oddness, schema === 'public' ? 0 : 1, schema, name]
  return { item: thing, wanted, given: givenStem(thing), brings: stem => brings(kind, stem), rank }
}

/** The field that the comment on a table gives. */
function givenStem(thing: Thing): string | undefined {
  if (thing.kind !== 'table') return undefined
  const { name } = readComment(thing.table.comment)
  return name === undefined ? undefined : fieldCase(name)
}

/** Why the tag in the comment on a table is ignored; undefined: it is not, or there is none. */
function problemWith(thing: Thing, refused: ReadonlySet<Thing>): string | undefined {
  if (thing.kind !== 'table') return undefined
  const given = givenStem(thing)
  if (given === undefined) return readComment(thing.table.comment).problem
  if (!refused.has(thing)) return undefined
  return isReserved('table', given)
    ? `listenql uses the name ${given} itself: choose a different one`
    : `another has the name ${given}: choose a different one`
}

function stemOf({ kind, schema, name }: Thing): string {
  const plain = schema === 'public' ? camelCase(name) : camelCase(schema, name)
  return schema === 'public' && isReserved(kind, plain) ? camelCase(schema, name) : plain
}

function isReserved(kind: Thing['kind'], stem: string): boolean {
  return brings(kind, stem).some(each => RESERVED.has(each))
}

function brings(kind: Thing['kind'], stem: string): readonly string[] {
  const type = `type ${typeCase(stem)}`
  if (kind === 'enum') return [type, `${type}Comparison`]
  const fields = [stem, `${stem}Aggregate`]
  return [
    ...fields.map(field => `query ${field}`),
    ...[...fields, `${stem}Changed`].map(field => `subscription ${field}`),
    type,
    ...PARTS.map(part => `${type}${part}`),
  ]
}

const PARTS = [
  ...['Change', 'Key', 'Snapshot', 'Filter', 'OrderBy', 'ListFilter', 'Aggregate'],
  ...['Sum', 'Avg', 'Min', 'Max', 'Group', 'GroupKey', 'Column'].map(part => `Aggregate${part}`),
]

function whyRenamed(thing: Thing, stem: string): string | undefined {
  const { kind, schema, name } = thing
  if (stem !== stemOf(thing)) return `another has the name ${stemOf(thing)}`
  if (schema === 'public' && isReserved(kind, camelCase(name))) return 'listenql uses the shorter name itself'
  return isPlain(name) && (schema === 'public' || isPlain(schema)) ? undefined : 'GraphQL has no such names'
}

function namesOf(table: WatchedTable, stem: string): Omit<TableNames, 'columns' | 'isGiven'> {
  const rowType = typeCase(stem)
  return {
    table,
    queryField: stem,
    subscriptionField: `${stem}Changed`,
    rowType,
    changeType: `${rowType}Change`,
    keyType: `${rowType}Key`,
    snapshotType: `${rowType}Snapshot`,
    filterType: `${rowType}Filter`,
    orderType: `${rowType}OrderBy`,
    aggregateField: `${stem}Aggregate`,
    aggregateType: `${rowType}Aggregate`,
    listFilterType: `${rowType}ListFilter`,
  }
}
