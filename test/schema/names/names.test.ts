import fc from 'fast-check'
import {
  type GraphQLInputObjectType,
  type GraphQLObjectType,
  lexicographicSortSchema,
  buildSchema as parseSdl,
  printSchema,
  validateSchema,
} from 'graphql'
import { describe, expect, it } from 'vitest'
import { buildSchema } from '../../../schema/index.js'
import { camelCase, labelName } from '../../../schema/names/identifiers.js'
import { nameEverything } from '../../../schema/names/names.js'
import { printSdl } from '../../../schema/print.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { classifyType, type TypeCategory } from '../../../src/postgres/types.js'
import { ask, column, createFakeContext, table } from '../../support/watched-tables.js'

function fieldsOf(tables: readonly WatchedTable[]): Record<string, string> {
  const { tables: named } = nameEverything(tables)
  return Object.fromEntries(
    named.map(({ table: { schema, name }, queryField }) => [`${schema}.${name}`, queryField]),
  )
}

function warningsOf(tables: readonly WatchedTable[]): string[] {
  const warnings: string[] = []
  buildSchema({ tables, onWarning: message => warnings.push(message) })
  return warnings
}

function inSchema(schema: string, name: string): WatchedTable {
  return table(name, undefined, { schema, relid: `${schema}.${name}` })
}

describe('the generated name', () => {
  it.each([
    ['people', 'people'],
    ['user_id', 'userId'],
    ['userId', 'userId'],
    ['UserName', 'userName'],
    ['ID', 'id'],
    ['USER_ID', 'userId'],
    ['HTTP_status', 'httpStatus'],
    ['user__name_', 'userName'],
    ['_id', '_id'],
    ['__id', '_id'],
    ['2fa', '_2fa'],
    ['_2fa', '_2fa'],
    ['top10_list', 'top10List'],
    ['größe (cm)', 'grosseCm'],
    ['GRÖSSE', 'grosse'],
    ['Ærøskøbing', 'aeroskobing'],
    ['ÆRØ', 'aero'],
    ['İSTANBUL', 'istanbul'],
    ['naïve\u0301', 'naive'],
    ['日本', 'u65e5u672c'],
    ['sales-2024', 'sales2024'],
    ['a"b\\c', 'aBC'],
    ['%', 'u25'],
    ['_', '_u5f'],
    ['🐘', 'u1f418'],
    ['', 'unnamed'],
  ])('of the column %j is %s', (name, field) => {
    expect(camelCase(name)).toBe(field)
  })

  it.each([
    ['sad', 'sad'],
    ['IN_PROGRESS', 'IN_PROGRESS'],
    ['in progress', 'in_progress'],
    ['1st', '_1st'],
    ['true', 'true_'],
    ['null', 'null_'],
    ['', 'empty_'],
    ['_', '_'],
    ['__x', '_x'],
    ['Ärger!', 'Arger'],
    ['-', 'u2d'],
    ['>=', 'u3eu3d'],
  ])('of the label %j is %s', (label, name) => {
    expect(labelName(label)).toBe(name)
  })
})

describe('tables', () => {
  it('are prefixed with their schema, except in public', () => {
    expect(
      fieldsOf([table('chat_rooms'), inSchema('chat', 'messages'), inSchema('My Shop', 'ORDERS')]),
    ).toEqual({
      'public.chat_rooms': 'chatRooms',
      'chat.messages': 'chatMessages',
      'My Shop.ORDERS': 'myShopOrders',
    })
  })

  it('are prefixed with their schema if they would have a name that listenql uses', () => {
    const names = [
      'channels',
      'may_publish',
      'watched_tables',
      'operation',
      'query',
      'Channel_Event',
      'string',
      'date_time',
      'int_comparison',
      'null_comparison',
    ]
    expect(Object.values(fieldsOf(names.map(name => table(name))))).toEqual([
      'publicChannels', 'publicMayPublish', 'publicWatchedTables', 'publicOperation', 'publicQuery', 'publicChannelEvent', 'publicString',
      'publicDateTime', 'publicIntComparison', 'publicNullComparison',
    ]) // biome-ignore format: a list
    expect(fieldsOf([table('channel')])).toEqual({ 'public.channel': 'publicChannel' })
    expect(fieldsOf([inSchema('channel', 'event')])).toEqual({ 'channel.event': 'channelEvent_2' })
  })

  it('are numbered if they would share a name: public first, then unchanged names, then by name', () => {
    const tables = [
      inSchema('chat', 'messages'),
      table('chat messages'),
      table('chat_messages'),
      table('chatMessages'),
    ]
    const expected = {
      'public.chatMessages': 'chatMessages',
      'public.chat_messages': 'chatMessages_2',
      'chat.messages': 'chatMessages_3',
      'public.chat messages': 'chatMessages_4',
    }
    expect(fieldsOf(tables)).toEqual(expected)
    expect(fieldsOf(tables.toReversed())).toEqual(expected)
    expect(fieldsOf([...tables, table('a'), table('chat_messages_2'), table('zebra')])).toMatchObject(
      expected,
    )
  })

  it('do not take the names that are derived from other tables', () => {
    expect(
      fieldsOf(
        ['people_filter', 'people', 'people_changed', 'people_change', 'people_key', 'people_order_by'].map(
          name => table(name),
        ),
      ),
    ).toEqual({
      'public.people': 'people',
      'public.people_changed': 'peopleChanged_2',
      'public.people_change': 'peopleChange_2',
      'public.people_filter': 'peopleFilter_2',
      'public.people_key': 'peopleKey_2',
      'public.people_order_by': 'peopleOrderBy_2',
    })
  })
})

describe('columns', () => {
  const fields = (names: readonly string[]) =>
    nameEverything([
      table(
        't',
        names.map(name => column(name)),
      ),
    ]).tables[0]?.columns.map(({ field }) => field)

  it('are in camelCase and in the order of the table, and are numbered if they share a name', () => {
    expect(fields(['user id', 'user_id', 'userId', 'user_id_2', 'id'])).toEqual([
      'userId_3',
      'userId_2',
      'userId',
      'userId2',
      'id',
    ])
  })

  it('do not have the names of filter operators or of members of Object.prototype', () => {
    expect(fields(['and', 'OR', 'not', 'constructor', 'to_string', '__proto__', 'hasOwnProperty', '__typename'])).toEqual([
      'and_', 'or_', 'not_', 'constructor_', 'toString_', '_proto', 'hasOwnProperty_', '_typename',
    ]) // biome-ignore format: a list
  })
})

describe('enums', () => {
  const mood = (schema: string, labels: readonly string[], more = {}) =>
    column('mood', 'enum', { baseType: 'mood', enumSchema: schema, enumLabels: labels, ...more })

  it('are one per type, identified by schema and name, also in arrays and under domains', () => {
    const tables = [
      table('a', [
        mood('public', ['sad']),
        mood('public', ['sad'], { name: 'moods', isArray: true, typeOid: 7 }),
      ]),
      table('b', [mood('chat', ['calm'])]),
      table('c', [mood('public', ['sad'], { typeOid: 9, enumType: 'public.mood' })]),
    ]
    expect(nameEverything(tables).enums.map(({ type }) => type)).toEqual(['Mood', 'ChatMood'])
    const sdl = printSdl(tables)
    expect(sdl).toMatch(/moods: \[Mood\]/)
    expect(sdl).toMatch(/mood: ChatMoodComparison/)
  })

  it('have the unquoted name of their schema, although the catalogue quotes it', () => {
    const type = { oid: 1, name: 'mood', kind: 'e', baseOid: 0, elementOid: 0, labels: ['a'] }
    const array = { oid: 2, name: '_mood', kind: 'b', baseOid: 0, elementOid: 1, labels: null }
    for (const [quoted, schema] of [
      ['chat', 'chat'],
      ['"My ""S"" x"', 'My "S" x'],
    ] as const) {
      const types = new Map([type, array].map(each => [each.oid, { ...each, schema: quoted }]))
      expect(classifyType(1, types).enumSchema).toBe(schema)
      expect(classifyType(2, types)).toMatchObject({ isArray: true, enumSchema: schema, baseType: 'mood' })
    }
  })

  it('yield names to tables', () => {
    const { tables, enums } = nameEverything([table('chat_mood', [mood('chat', ['a'])])])
    expect([tables[0]?.rowType, enums[0]?.type]).toEqual(['ChatMood', 'ChatMood_2'])
  })

  it('keep labels that are valid in GraphQL, even if other labels would map to them', () => {
    const labels = ['a b', 'a-b', 'a_b', 'a_b_2', 'true', 'true_']
    const [named] = nameEverything([table('t', [mood('public', labels)])]).enums
    expect([...(named?.values ?? [])]).toEqual([
      ['a_b_3', 'a b'],
      ['a_b_4', 'a-b'],
      ['a_b', 'a_b'],
      ['a_b_2', 'a_b_2'],
      ['true__2', 'true'],
      ['true_', 'true_'],
    ])
  })
})

describe('warnings', () => {
  it('are one line for each renamed object, with its old and its new name', () => {
    const mood = column('mood', 'enum', {
      baseType: 'my mood',
      enumSchema: 'public',
      enumLabels: ['fine', 'so so'],
    })
    expect(
      warningsOf([
        table('user_ids', [column('userId'), column('user_id'), column('größe'), column('not'), mood]),
        table('UserIds', []),
        table('channels', []),
      ]),
    ).toEqual([
      `table "public.user_ids" is userIds_2 in GraphQL: another has the name userIds`,
      `column "user_id" is userId_2 in GraphQL: another has the name userId (table "public.user_ids")`,
      `column "größe" is grosse in GraphQL: GraphQL has no such names (table "public.user_ids")`,
      `column "not" is not_ in GraphQL: filters or JavaScript use the name themselves (table "public.user_ids")`,
      `table "public.channels" is publicChannels in GraphQL: listenql uses the shorter name itself`,
      `enum "public.my mood" is MyMood in GraphQL: GraphQL has no such names`,
      `label "so so" is so_so in GraphQL (enum "public.my mood")`,
    ])
  })

  it('are absent for a change of letter case only', () => {
    expect(
      warningsOf([
        table('chat_rooms', [column('user_id'), column('ID'), column('_x')]),
        inSchema('chat', 'Messages'),
      ]),
    ).toEqual([])
  })
})

/** Names that collide, that are invalid in GraphQL, that have a meaning in JavaScript, and any others. */
const oddName = fc.oneof(
  fc.constantFrom(
    ...[
      'people',
      'people_filter',
      'People',
      'PEOPLE',
      'peopleChanged',
      'people_changed',
      'people_change',
      'people_key',
      'a_b',
      'aB',
      'A_B',
      'a b',
    ],
    ...[
      'query',
      'Query',
      'mutation',
      'subscription',
      'operation',
      'channel',
      'channels',
      'channel_event',
      'watchedTables',
      'watched_table',
    ],
    ...[
      'int',
      'string',
      'id',
      'boolean',
      'json',
      'date_time',
      'int_comparison',
      'string',
      'order_direction',
      'mood',
      'mood_comparison',
    ],
    ...[
      'and',
      'or',
      'not',
      '__typename',
      '__proto__',
      '__schema',
      'constructor',
      'toString',
      'hasOwnProperty',
      'then',
      'toJSON',
      'true',
      'null',
    ],
    ...[
      '',
      ' ',
      '_',
      '__',
      '___',
      '1',
      '1a',
      '_1',
      '-',
      '🐘',
      '日本',
      'é',
      'e\u0301',
      '"',
      '"""',
      '\\',
      '\n',
      '#',
      '$',
      '\u0000',
      '\ud800',
    ],
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('a', 'A', 'b', '_', '1', ' ', 'é'), maxLength: 5 }),
)
const categories: readonly TypeCategory[] = [
  'bool', 'bpchar', 'bytea', 'citext', 'composite', 'date', 'enum', 'float4', 'float8', 'int2', 'int4', 'int8', 'interval', 'json',
  'numeric', 'other', 'text', 'time', 'timestamp', 'timestamptz', 'timetz', 'uuid',
] // biome-ignore format: a list
const comment = fc.option(
  fc.oneof(oddName, fc.constantFrom('"""', 'a"""b\\', ' \n x', '\u2028', 'line\r\nline')),
)
const oddColumn = fc
  .record({
    name: oddName,
    category: fc.oneof(fc.constantFrom(...categories), fc.constant('enum' as const)),
    isArray: fc.boolean(),
    notNull: fc.boolean(),
    comment,
    baseType: oddName,
    typeName: oddName,
    enumSchema: fc.oneof(fc.constantFrom('public', 'chat'), oddName),
    enumLabels: fc.uniqueArray(oddName, { maxLength: 6 }),
  })
  .map(({ name, category, ...more }) => column(name, category, more))
const oddTable = fc
  .record({
    schema: fc.oneof(
      { weight: 3, arbitrary: fc.constant('public') },
      fc.constantFrom('people', 'a', 'Public'),
      oddName,
    ),
    name: oddName,
    columns: fc.uniqueArray(oddColumn, { maxLength: 6, selector: ({ name }) => name }),
    keys: fc.nat(3),
    comment,
  })
  .map(({ name, columns, keys, ...more }) =>
    table(name, columns, {
      ...more,
      relid: JSON.stringify([more.schema, name]),
      key: columns.slice(0, keys).map(each => each.name),
    }),
  )
const oddTables = fc.uniqueArray(oddTable, {
  maxLength: 12,
  selector: ({ schema, name }) => JSON.stringify([schema, name]),
})

describe('arbitrary names', () => {
  it('yield a valid schema that contains every table, column and label once', async () => {
    await fc.assert(
      fc.asyncProperty(oddTables, async tables => {
        const schema = buildSchema({ tables })
        expect(validateSchema(schema)).toEqual([])
        const { tables: named, enums } = nameEverything(tables)
        expect(named.map(each => each.table)).toEqual(tables)
        const rowTypes = new Set<string>()
        for (const { table: of, ...names } of named) {
          rowTypes.add(names.rowType)
          const row = schema.getType(names.rowType) as GraphQLObjectType
          const filter = schema.getType(names.filterType) as GraphQLInputObjectType
          const fields = names.columns.map(({ field }) => field)
          expect(Object.keys(row.getFields())).toEqual(of.columns.length > 0 ? fields : ['_noColumns'])
          expect(Object.keys(filter.getFields())).toEqual(['and', 'or', 'not', ...fields])
          expect(new Set(fields).size).toBe(of.columns.length)
          expect(String(schema.getQueryType()?.getFields()[names.queryField]?.type)).toBe(
            `${names.snapshotType}!`,
          )
          expect(String(schema.getSubscriptionType()?.getFields()[names.subscriptionField]?.type)).toBe(
            `${names.changeType}!`,
          )
        }
        expect(rowTypes.size).toBe(tables.length)
        for (const { values, labels } of enums) expect([...values.values()]).toEqual(labels)

        // watchedTables agrees with the schema.
        const { context } = createFakeContext()
        const { data, errors } = await ask(
          schema,
          context,
          '{ watchedTables { rowType columns { field type nullable } } }',
        )
        expect(errors).toBeUndefined()
        for (const { rowType, columns } of (data as { watchedTables: WatchedShape[] }).watchedTables) {
          const row = (schema.getType(rowType) as GraphQLObjectType).getFields()
          for (const { field, type, nullable } of columns) {
            expect(String(row[field]?.type)).toBe(type)
            expect(type.endsWith('!')).toBe(!nullable)
          }
        }
      }),
      { numRuns: 150 },
    )
  })

  it('are mapped to the same names in any order, and to an SDL that can be parsed', () => {
    fc.assert(
      fc.property(
        oddTables.chain(tables =>
          fc.tuple(fc.constant(tables), fc.shuffledSubarray(tables, { minLength: tables.length })),
        ),
        ([tables, shuffled]) => {
          // One enum has the same labels wherever it is used.
          const consistent = (list: readonly WatchedTable[]) =>
            list.map(each => ({ ...each, columns: each.columns.map(sameLabels) }))
          const sdl = printSdl(consistent(tables))
          expect(printSdl(consistent(shuffled))).toBe(sdl)
          expect(`${printSchema(lexicographicSortSchema(parseSdl(sdl)))}\n`).toBe(sdl)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('are mapped by the thousand', () => {
    const weird = fc.sample(oddTable, { numRuns: 1500, seed: 7 })
    const tables = [...new Map(weird.map(each => [JSON.stringify([each.schema, each.name]), each])).values()]
    expect(tables.length).toBeGreaterThan(1000)
    const schema = buildSchema({ tables })
    expect(validateSchema(schema)).toEqual([])
    expect(Object.keys(schema.getSubscriptionType()?.getFields() ?? {})).toHaveLength(2 + 3 * tables.length) // channel, live; and of each table the changes, the rows and the aggregate
  })
})

interface WatchedShape {
  rowType: string
  columns: { field: string; type: string; nullable: boolean }[]
}

function sameLabels<Column extends { enumLabels?: readonly string[] }>(of: Column): Column {
  return of.enumLabels?.length ? { ...of, enumLabels: ['b', 'a', 'a b', 'true'] } : of
}
