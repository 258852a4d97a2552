import fc from 'fast-check'
import {
  type GraphQLEnumType,
  type GraphQLInputObjectType,
  type GraphQLObjectType,
  validateSchema,
} from 'graphql'
import { describe, expect, it } from 'vitest'
import { buildSchema } from '../../../schema/index.js'
import { nameEverything } from '../../../schema/names/names.js'
import { readComment } from '../../../schema/names/read-comment.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { column, table } from '../../support/watched-tables.js'

/** Tables in `schema.name`, with their comments. */
function tables(comments: Readonly<Record<string, string | null>>): WatchedTable[] {
  return Object.entries(comments).map(([qualified, comment]) => {
    const [schema = '', name = ''] = qualified.split('.')
    return table(name, undefined, { schema, relid: qualified, comment })
  })
}

function fieldsOf(all: readonly WatchedTable[]): Record<string, string> {
  const named = nameEverything(all).tables
  return Object.fromEntries(named.map(({ table: { relid }, queryField }) => [relid, queryField]))
}

function reportsOf(all: readonly WatchedTable[]) {
  const renamed: string[] = []
  const ignored: string[] = []
  buildSchema({
    tables: all,
    onWarning: message => renamed.push(message),
    onIgnored: message => ignored.push(message),
  })
  return { renamed, ignored }
}

const columnsOf = (names: Readonly<Record<string, string | null>>) =>
  Object.entries(names).map(([name, comment]) => column(name, 'int4', { comment, notNull: true }))

describe('@name of a table', () => {
  const person = table('people', columnsOf({ pk: '@name id', age: null }), {
    comment: '@name Person\nEverybody we know.',
  })

  it('is the word of all its fields and types', () => {
    const schema = buildSchema({ tables: [person] })
    const fields = (type: GraphQLObjectType | undefined | null) => Object.keys(type?.getFields() ?? {})
    expect(fields(schema.getQueryType())).toEqual(expect.arrayContaining(['person', 'personAggregate']))
    expect(fields(schema.getSubscriptionType())).toEqual(
      expect.arrayContaining(['person', 'personAggregate', 'personChanged']),
    )
    const types = Object.keys(schema.getTypeMap())
    expect(types.filter(name => /people/i.test(name))).toEqual([])
    expect(types.filter(name => name.startsWith('Person'))).toEqual(
      expect.arrayContaining([
        'Person', 'PersonChange', 'PersonKey', 'PersonSnapshot', 'PersonFilter', 'PersonOrderBy', 'PersonAggregate',
        'PersonAggregateSum', 'PersonAggregateColumn',
      ]),
    ) // biome-ignore format: a list
  })

  it('leaves the rest of the comment as the description', () => {
    const schema = buildSchema({ tables: [person] })
    expect(schema.getType('Person')?.description).toBe('Everybody we know.\n\nA row of table public.people.')
    expect(JSON.stringify(schema.toConfig().types.map(type => type.description))).not.toContain('@name P')
  })

  it('replaces the prefix of a schema, and causes no line in the log', () => {
    const all = tables({ 'chat.messages': '@name messages', 'public.größe': '@name size' })
    expect(fieldsOf(all)).toEqual({ 'chat.messages': 'messages', 'public.größe': 'size' })
    expect(reportsOf(all)).toEqual({ renamed: [], ignored: [] })
  })

  it('makes a name available to another table', () => {
    expect(
      fieldsOf(tables({ 'public.people': '@name legacyPeople', 'public.people_v2': '@name people' })),
    ).toEqual({
      'public.people': 'legacyPeople',
      'public.people_v2': 'people',
    })
    // A name that is the usual one is no exception to the rule: the table keeps it.
    expect(fieldsOf(tables({ 'public.a': '@name people', 'public.people': '@name people' }))).toEqual({
      'public.a': 'a',
      'public.people': 'people',
    })
    expect(fieldsOf(tables({ 'public.a': '@name b', 'public.b': '@name a' }))).toEqual({
      'public.a': 'b',
      'public.b': 'a',
    })
  })

  it('takes no name away: not of a table, of its types, of an enum, or of listenql', () => {
    const mood = column('mood', 'enum', { baseType: 'mood', enumSchema: 'public', enumLabels: ['sad'] })
    const all = [
      table('people', [mood]),
      ...tables({
        'public.a': '@name people',
        'public.b': '@name peopleFilter',
        'public.c': '@name mood',
        'public.d': '@name channels',
        'public.e': '@name two words',
        'public.f': '@name twice',
        'public.g': '@name twice',
      }),
    ]
    expect(fieldsOf(all)).toEqual({
      people: 'people',
      'public.a': 'a',
      'public.b': 'b',
      'public.c': 'c',
      'public.d': 'd',
      'public.e': 'e',
      'public.f': 'twice',
      'public.g': 'g',
    })
    const { renamed, ignored } = reportsOf(all)
    expect(renamed).toEqual([])
    const line = (name: string, why: string) =>
      `@name of table "public.${name}" is ignored, and the table is ${name} in GraphQL: ${why}`
    const different = ': choose a different one'
    expect(ignored).toEqual([
      line('a', `another has the name people${different}`),
      line('b', `another has the name peopleFilter${different}`),
      line('c', `another has the name mood${different}`),
      line('d', `listenql uses the name channels itself${different}`),
      line(
        'e',
        '"two words" is not a name in GraphQL: use up to 63 letters (A to Z), digits and underscores, no digit first',
      ),
      line('g', `another has the name twice${different}`),
    ])
  })
})

describe('@name of a column', () => {
  const all = [table('t', columnsOf({ pk: '@name id', user_id: '@name ownerID\nThe owner.', other: null }))]

  it('is its field in rows, keys, filters, order and aggregates, exactly as written', () => {
    const schema = buildSchema({ tables: all })
    const has = (type: string) =>
      Object.keys((schema.getType(type) as GraphQLObjectType | GraphQLInputObjectType).getFields())
    expect(has('T')).toEqual(['id', 'ownerID', 'other'])
    expect(has('TKey')).toEqual(['id'])
    expect(has('TFilter')).toEqual(['and', 'or', 'not', 'id', 'ownerID', 'other'])
    expect(has('TOrderBy')).toEqual(['id', 'ownerID', 'other'])
    expect(has('TAggregateSum')).toEqual(['id', 'ownerID', 'other'])
    const groups = schema.getType('TAggregateColumn') as GraphQLEnumType
    expect(groups.getValues().map(({ name, value }) => [name, value])).toEqual([
      ['id', 'pk'],
      ['ownerID', 'user_id'],
      ['other', 'other'],
    ])
    const row = (schema.getType('T') as GraphQLObjectType).getFields()
    expect(row.ownerID?.description).toBe('The owner.\n\nColumn user_id, int4, not null.')
  })

  it('takes no name away, and the names of filters and JavaScript are refused', () => {
    const clash = [
      table('t', columnsOf({ a: '@name b', b: null, c: '@name and', d: '@name constructor', e: '@name é' })),
    ]
    expect(nameEverything(clash).tables[0]?.columns.map(({ field }) => field)).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
    ])
    const different = 'choose a different one (table "public.t")'
    expect(reportsOf(clash).ignored).toEqual([
      `@name of column "a" is ignored, and the column is a in GraphQL: another has the name b: ${different}`,
      `@name of column "c" is ignored, and the column is c in GraphQL: filters or JavaScript use the name and themselves: ${different}`,
      `@name of column "d" is ignored, and the column is d in GraphQL: filters or JavaScript use the name constructor themselves: ${different}`,
      '@name of column "e" is ignored, and the column is e in GraphQL: "é" is not a name in GraphQL: use up to 63 letters (A to Z), digits and underscores, no digit first (table "public.t")',
    ])
  })
})

describe('relations follow the names of comments', () => {
  const key = (columns: readonly string[], references: string, referencedColumns = ['id']) => ({
    name: columns.join('_'),
    columns,
    references,
    referencedColumns,
    operators: columns.map(() => 'operator(pg_catalog.=)'),
    collations: columns.map(() => null),
    isUnique: false,
    comment: null,
  })
  const relationsOf = (all: readonly WatchedTable[]) =>
    Object.fromEntries(
      nameEverything(all).tables.map(({ rowType, relations }) => [
        rowType,
        relations.map(({ field }) => field),
      ]),
    )

  it.each([
    ['@name buyerId', 'buyer'],
    ['@name buyer_id', 'buyer'],
    ['@name theBuyer', 'buyersByTheBuyer'],
    ['@name homeTeamUuid', 'homeTeam'],
  ])('with the column %s, the referenced row is %s', (comment, field) => {
    const all = [
      table('customers', undefined, { comment: '@name buyers' }),
      table('orders', [column('id', 'int4', { notNull: true }), column('customer_id', 'int4', { comment })], {
        comment: '@name purchases',
        foreignKeys: [key(['customer_id'], 'customers')],
      }),
    ]
    expect(relationsOf(all)).toEqual({ Buyers: ['purchases'], Purchases: [field] })
  })

  it('of several columns and of several keys', () => {
    const all = [
      table('staff', columnsOf({ org: null, no: null, boss_org: '@name leadOrg', boss_no: '@name leadNo' }), {
        key: ['org', 'no'],
        foreignKeys: [key(['boss_org', 'boss_no'], 'staff', ['org', 'no'])],
      }),
      table('clubs', undefined, { comment: '@name teams' }),
      table('matches', columnsOf({ id: null, team_id: null, away: '@name guest' }), {
        foreignKeys: [key(['team_id'], 'clubs'), key(['away'], 'clubs')],
      }),
    ]
    expect(relationsOf(all)).toEqual({
      Staff: ['lead', 'staffByLead'],
      // `team_id` is named after the table, as it is called in GraphQL.
      Teams: ['matchesByGuest', 'matches'],
      Matches: ['teamsByGuest', 'team'],
    })
  })
})

const word = fc.constantFrom(
  'people',
  'People',
  'peopleFilter',
  'channels',
  'a',
  'b',
  'mood',
  'and',
  'id',
  '1',
  '__x',
  '',
)
const comment = fc.option(word.map(name => `@name ${name}\nText`))
const anyTables = fc
  .uniqueArray(
    fc.record({
      schema: fc.constantFrom('public', 'a'),
      name: fc.constantFrom('people', 'people_filter', 'a', 'b', 'mood', 'channels'),
      comment,
      columns: fc.uniqueArray(
        fc.record({ name: fc.constantFrom('id', 'a', 'b', 'a_b', 'and', 'mood'), comment }),
        {
          selector: ({ name }) => name,
          maxLength: 4,
        },
      ),
    }),
    { selector: ({ schema, name }) => `${schema}.${name}`, maxLength: 6 },
  )
  .map(all =>
    all.map(({ schema, name, columns, ...more }) =>
      table(
        name,
        columns.map(each =>
          each.name === 'mood'
            ? column('mood', 'enum', { ...each, baseType: 'mood', enumSchema: 'public', enumLabels: ['sad'] })
            : column(each.name, 'int4', each),
        ),
        { ...more, schema, relid: `${schema}.${name}` },
      ),
    ),
  )

describe('arbitrary comments', () => {
  const strip = <Item extends { comment: string | null }>(item: Item, isGiven: boolean): Item =>
    isGiven ? item : { ...item, comment: null }
  const summary = (all: readonly WatchedTable[]) =>
    nameEverything(all).tables.map(({ queryField, isGiven, columns }) => [
      queryField,
      isGiven,
      columns.map(({ field, isGiven }) => [field, isGiven]),
    ])

  it('give a valid schema; a name is the given one, or as if the comment were absent', () => {
    let given = 0
    let refused = 0
    fc.assert(
      fc.property(anyTables, all => {
        expect(validateSchema(buildSchema({ tables: all }))).toEqual([])
        const named = nameEverything(all).tables
        for (const each of named) {
          const { name } = readComment(each.table.comment)
          if (each.isGiven) {
            given++
            expect(each.queryField.toLowerCase()).toBe(name?.toLowerCase())
          } else if (each.table.comment !== null) refused++
          for (const { column, field, isGiven } of each.columns)
            if (isGiven) expect(field).toBe(readComment(column.comment).name)
        }
        const stripped = named.map(({ table: of, isGiven, columns }) => ({
          ...strip(of, isGiven),
          columns: columns.map(({ column, isGiven }) => strip(column, isGiven)),
        }))
        expect(summary(stripped)).toEqual(summary(all))
      }),
      { numRuns: 300 },
    )
    expect(Math.min(given, refused)).toBeGreaterThan(50)
  })

  it('change the names of no other table, except that they make names available', () => {
    fc.assert(
      fc.property(anyTables, all => {
        const named = nameEverything(all).tables
        const without = named.filter(({ isGiven }) => !isGiven).map(({ table }) => strip(table, false))
        const alone = nameEverything(without).tables
        for (const { table: of, queryField } of alone)
          expect(named.find(({ table }) => table.relid === of.relid)?.queryField).toBe(queryField)
      }),
      { numRuns: 300 },
    )
  })

  it('give the same names in any order of the tables', () => {
    fc.assert(
      fc.property(anyTables, all => {
        expect(fieldsOf(all.toReversed())).toEqual(fieldsOf(all))
      }),
    )
  })
})
