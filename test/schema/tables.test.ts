import type { ExecutionResult } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DEMO_TABLES } from '../../schema/demo-tables.js'
import { buildSchema } from '../../schema/index.js'
import { printSdl } from '../../schema/print.js'
import type { TableColumn, WatchedTable } from '../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../src/filters/index.js'
import type { TypeCategory } from '../../src/postgres/types.js'
import { EventSource } from '../../src/sources/source.js'
import { ask, change, column, createFakeContext, image, listen, table } from '../support/watched-tables.js'

const [people] = DEMO_TABLES as readonly [WatchedTable]
const moods = { baseType: 'mood', enumSchema: 'public', enumLabels: ['sad', 'so so', 'true'] }

/** The result of `t { rows { v } }` for a column `v` whose image holds this JSON. */
async function show(
  category: TypeCategory,
  json: string,
  more: Partial<TableColumn> = {},
): Promise<ExecutionResult> {
  const t = table('t', [column('v', category, more)])
  const { context } = createFakeContext({ rows: [image(t, `{"v":${json}}`)] })
  return ask(buildSchema({ tables: [t] }), context, '{ t { rows { v } } }')
}
const rows = (v: unknown) => ({ data: { t: { rows: [{ v }] } } })

describe('values', () => {
  it.each<[TypeCategory, string, unknown]>([
    ['bool', 'true', true],
    ['int2', '-32768', -32768],
    ['int4', '2147483647', 2147483647],
    ['int8', '9007199254740993', '9007199254740993'],
    ['numeric', '1.50', '1.50'],
    ['numeric', '123456789012345678901234567890.1234567890', '123456789012345678901234567890.1234567890'],
    ['numeric', '"NaN"', 'NaN'],
    ['float4', '0.1', 0.1],
    ['float8', '0.30000000000000004', 0.30000000000000004],
    ['text', '"a\\"\\u0001\\\\ü🐘"', 'a"\u0001\\ü🐘'],
    ['bpchar', '"a  "', 'a  '],
    ['citext', '"Ab"', 'Ab'],
    ['uuid', '"f47ac10b-58cc-4372-a567-0e02b2c3d479"', 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
    ['timestamptz', '"2026-11-22T22:41:00.123456+00:00"', '2026-11-22T22:41:00.123456+00:00'],
    ['timestamptz', '"-infinity"', '-infinity'],
    ['timestamp', '"2026-11-22T22:41:00.123456"', '2026-11-22T22:41:00.123456'],
    ['date', '"0044-03-15 BC"', '0044-03-15 BC'],
    ['time', '"22:41:00.000001"', '22:41:00.000001'],
    ['timetz', '"22:41:00+01:00"', '22:41:00+01:00'],
    ['interval', '"P1DT2H30M"', 'P1DT2H30M'],
    ['bytea', '"\\\\x00ff5c"', 'AP9c'],
    ['bytea', '"\\\\x"', ''],
    ['json', '{"a": [1, null, {"b": "\\u0000"}]}', { a: [1, null, { b: '\u0000' }] }],
    ['composite', '"(1,\\"a,b\\")"', '(1,"a,b")'],
    ['other', '"10.0.0.0/8"', '10.0.0.0/8'],
    ['other', '4294967295', '4294967295'],
  ])('of type %s: %s', async (category, json, value) => {
    expect(await show(category, json)).toEqual(rows(value))
    expect(await show(category, 'null')).toEqual(rows(null))
    expect(await show(category, json, { notNull: true })).toEqual(rows(value))
  })

  it.each<[TypeCategory, string, unknown]>([
    ['bool', '[true,null]', [true, null]],
    ['int4', '[1,null,3]', [1, null, 3]],
    ['int8', '[9007199254740993,null,-1]', ['9007199254740993', null, '-1']],
    ['numeric', '[1.50,"NaN",null]', ['1.50', 'NaN', null]],
    ['text', '["a,b","]",null,""]', ['a,b', ']', null, '']],
    ['bytea', '["\\\\x00ff",null]', ['AP8=', null]],
    ['json', '[null,{"a":[1]},[2]]', [null, { a: [1] }, [2]]],
    ['timestamptz', '["2026-11-22T22:41:00.123456+00:00"]', ['2026-11-22T22:41:00.123456+00:00']],
    ['composite', '["(1,)"]', ['(1,)']],
    ['other', '[1,2]', ['1', '2']],
    ['uuid', '[]', []],
  ])('of type %s[]: %s', async (category, json, value) => {
    for (const notNull of [false, true])
      expect(await show(category, json, { isArray: true, notNull })).toEqual(rows(value))
    expect(await show(category, 'null', { isArray: true })).toEqual(rows(null))
  })

  it('of enums have their GraphQL names, alone and in arrays', async () => {
    expect(await show('enum', '"sad"', moods)).toEqual(rows('sad'))
    expect(await show('enum', '"so so"', moods)).toEqual(rows('so_so'))
    expect(await show('enum', '["true",null,"so so"]', { ...moods, isArray: true })).toEqual(
      rows(['true_', null, 'so_so']),
    )
  })

  it('of an enum show a label that was just added under its future name, so that the row remains', async () => {
    expect(await show('enum', '"brand new"', { ...moods, notNull: true })).toEqual(rows('brand_new'))
    // Its name is taken, so the two labels would be indistinguishable.
    const taken = await show('enum', '"so_so"', moods)
    expect(taken).toMatchObject({
      data: { t: { rows: [{ v: null }] } },
      errors: [{ path: ['t', 'rows', 0, 'v'] }],
    })
  })

  it('of an enum without labels are text', async () => {
    expect(await show('enum', '"new"', { ...moods, enumLabels: [], notNull: true })).toEqual(rows('new'))
  })

  it.each(['NaN', 'Infinity', '-Infinity'])(
    '%s in a Float is null with an error, even if NOT NULL, and the row remains',
    async value => {
      for (const category of ['float4', 'float8'] as const) {
        const result = await show(category, `"${value}"`, { notNull: true })
        expect(result.data).toEqual(rows(null).data)
        expect(result.errors).toMatchObject([
          {
            path: ['t', 'rows', 0, 'v'],
            message: `the value is ${value}, which GraphQL cannot show`,
            originalError: { code: 'VALUE_NOT_SHOWN' },
          },
        ])
      }
      const list = await show('float8', `[1.5,"${value}",null]`, { isArray: true, notNull: true })
      expect(list.data).toEqual(rows([1.5, null, null]).data)
      expect(list.errors).toMatchObject([{ path: ['t', 'rows', 0, 'v', 1] }])
    },
  )

  it('in an array of several dimensions are a list of one null with an error, and the row remains', async () => {
    const arrays: readonly [TypeCategory, string][] = [
      ['int4', '[[1,2],[3,4]]'],
      ['numeric', '[[1.50]]'],
      ['float8', '[[1]]'],
      ['composite', '"{{a},{b}}"'],
    ]
    for (const [category, json] of arrays) {
      const result = await show(category, json, { isArray: true, notNull: true })
      expect(result.data).toEqual(rows([null]).data)
      expect(result.errors).toMatchObject([
        {
          path: ['t', 'rows', 0, 'v', 0],
          message: 'the value is an array of several dimensions, which GraphQL cannot show',
        },
      ])
    }
  })

  it('in an array of a key whose indexes do not begin at 1 are a list of one null with an error', async () => {
    for (const category of ['int4', 'int8', 'numeric', 'float8', 'text', 'json'] as const) {
      const result = await show(category, '"[0:1]={1,2}"', { isArray: true, notNull: true })
      expect(result.data).toEqual(rows([null]).data)
      expect(result.errors).toMatchObject([
        {
          path: ['t', 'rows', 0, 'v', 0],
          message: 'the value is an array whose indexes do not begin at 1, which GraphQL cannot show',
        },
      ])
    }
  })

  it('that are a JSON null are null, even if NOT NULL, and the row remains', async () => {
    expect(await show('json', 'null', { notNull: true })).toEqual(rows(null))
  })
})

describe('types', () => {
  it('are non-null for NOT NULL columns, except where a value may be missing; list items are nullable', async () => {
    const notNull = { notNull: true }
    const t = table('t', [
      column('id', 'int8', notNull),
      column('user_id', 'uuid'),
      column('tags', 'text', { ...notNull, isArray: true }),
      column('weight', 'float8', notNull),
      column('doc', 'json', notNull),
      column('weights', 'float4', { isArray: true }),
      column('mood', 'enum', { ...moods, ...notNull }),
    ])
    const { context } = createFakeContext()
    const { data } = await ask(
      buildSchema({ tables: [t] }),
      context,
      '{ watchedTables { key columns { name field type nullable isKey } } }',
    )
    const [shown] = (data as { watchedTables: { key: string[]; columns: Record<string, unknown>[] }[] })
      .watchedTables
    expect(shown?.key).toEqual(['id'])
    expect(shown?.columns.map(each => Object.values(each))).toEqual([
      ['id', 'id', 'BigInt!', false, true],
      ['user_id', 'userId', 'UUID', true, false],
      ['tags', 'tags', '[String]!', false, false],
      ['weight', 'weight', 'Float', true, false],
      ['doc', 'doc', 'JSON', true, false],
      ['weights', 'weights', '[Float]', true, false],
      ['mood', 'mood', 'Mood!', false, false],
    ])
  })

  it('have the comments of the database as descriptions, and every field of the schema has a description', () => {
    const t = table('t', [column('a', 'text', { comment: 'Of a.' })], { comment: 'Of t.' })
    const schema = buildSchema({ tables: [t, people] })
    expect(schema.getType('T')?.description).toBe('Of t.\n\nA row of table public.t.')
    for (const [name, type] of Object.entries(schema.getTypeMap())) {
      if (name.startsWith('__') || !('getFields' in type)) continue
      if (type.getFields().a) expect(type.getFields().a?.description).toBe('Of a.\n\nColumn a, text.')
      for (const field of Object.values(type.getFields())) {
        expect(field.description, `${name}.${field.name}`).toBeTruthy()
        for (const argument of 'args' in field ? field.args : []) expect(argument.description).toBeTruthy()
      }
    }
  })

  it('are those of channels alone if there are no tables', () => {
    const names = [...printSdl().matchAll(/^(?:type|scalar|enum|input) (\w+)/gm)].map(([, name]) => name)
    expect(names).toEqual([
      'ChannelEvent',
      'DateTime',
      'JSON',
      'Mutation',
      'Query',
      'Subscription',
      'WatchedColumn',
      'WatchedTable',
    ])
  })

  it('include those of a table without columns', async () => {
    const none = table('none', [])
    const { context } = createFakeContext({
      rows: [image(none, '{}')],
      changes: [change('INSERT', { row: image(none, '{}') })],
    })
    const schema = buildSchema({ tables: [none] })
    expect(await ask(schema, context, '{ none(where: { not: {} }) { rows { _noColumns } } }')).toEqual({
      data: { none: { rows: [{ _noColumns: null }] } },
    })
    expect(
      await listen(schema, context, 'subscription { noneChanged { operation row { __typename } } }', 1),
    ).toEqual([{ data: { noneChanged: { operation: 'INSERT', row: { __typename: 'None' } } } }])
  })
})

describe('peopleChanged', () => {
  const schema = buildSchema({ tables: [people] })
  const ada = image(people, '{"pk":1,"ts":null,"name":"Ada","age":36,"height":1.7}')
  const bob = image(people, '{"pk":1,"ts":null,"name":"Bob","age":36,"height":1.7}')
  const everything = 'operation cursor transaction at key { pk } row { pk name } old { name }'

  it('delivers each change', async () => {
    const { context } = createFakeContext({
      changes: [
        change('INSERT', { key: ada, row: ada }),
        change('UPDATE', { key: bob, row: bob, old: ada }),
        change('UPDATE', { key: bob, row: null, old: ada }),
        change('DELETE', { key: bob, old: bob }),
        change('TRUNCATE'),
      ],
    })
    const results = await listen(schema, context, `subscription { peopleChanged { ${everything} } }`, 5)
    const shared = { cursor: 'cursor', transaction: '4294967297', at: '1970-01-01T00:00:00.000Z' }
    const key = { pk: 1 }
    expect(results).toEqual(
      [
        { operation: 'INSERT', ...shared, key, row: { pk: 1, name: 'Ada' }, old: null },
        { operation: 'UPDATE', ...shared, key, row: { pk: 1, name: 'Bob' }, old: { name: 'Ada' } },
        { operation: 'UPDATE', ...shared, key, row: null, old: { name: 'Ada' } },
        { operation: 'DELETE', ...shared, key, row: null, old: { name: 'Bob' } },
        { operation: 'TRUNCATE', ...shared, key: null, row: null, old: null },
      ].map(peopleChanged => ({ data: { peopleChanged } })),
    )
  })

  it('opens the source with its arguments; null equals an absent argument', async () => {
    const { context, asked } = createFakeContext()
    const document = `subscription ($where: PeopleFilter, $operations: [Operation!], $after: String) {
      peopleChanged(where: $where, operations: $operations, after: $after) { operation }
    }`
    await listen(schema, context, document, 0)
    await listen(schema, context, document, 0, { where: null, operations: null, after: null })
    await listen(schema, context, document, 0, {
      where: { pk: { eq: 1 } },
      operations: ['DELETE', 'TRUNCATE'],
      after: 'here',
    })
    const all = { table: 'people', filter: EVERYTHING, operations: undefined, after: undefined }
    expect(asked.changes).toMatchObject([
      all,
      all,
      {
        filter: { kind: 'compare', operator: 'eq', column: { name: 'pk' } },
        operations: ['DELETE', 'TRUNCATE'],
        after: 'here',
      },
    ])
  })

  it('returns the source itself if the context opens sources', async () => {
    const { context } = createFakeContext()
    const field = schema.getSubscriptionType()?.getFields().peopleChanged
    const info = { fieldNodes: [], fragments: {} } as never
    const opened = field?.subscribe?.({}, {}, { ...context, opensSources: true }, info)
    expect(await opened).toBeInstanceOf(EventSource)
  })

  it('has no key in its type if the table has no primary key', () => {
    const t = buildSchema({ tables: [table('t', [column('a')])] })
    expect(t.getType('TKey')).toBeUndefined()
    expect(Object.keys((t.getType('TChange') as never as { getFields(): object }).getFields())).not.toContain(
      'key',
    )
  })
})

describe('channel', () => {
  it('passes the position to resume from', async () => {
    const { context, asked } = createFakeContext()
    const document = 'subscription ($after: String) { channel(name: "a", after: $after) { payload } }'
    await listen(buildSchema(), context, document, 0, { after: 'here' })
    await listen(buildSchema(), context, document, 0)
    expect(asked.channels).toEqual([
      ['a', 'here'],
      ['a', undefined],
    ])
  })
})

describe('watchedTables', () => {
  it('tells a client without prior knowledge how to query a table', async () => {
    const messages = table(
      'messages',
      [column('room_id', 'int4', { notNull: true }), column('no', 'int8', { notNull: true }), column('body')],
      { schema: 'chat', key: ['no', 'room_id'], comment: 'What was said.' },
    )
    const schema = buildSchema({ tables: [people, messages] })
    const { context } = createFakeContext({
      rows: [image(messages, '{"room_id":1,"no":7,"body":"hi"}')],
      changes: [change('DELETE', { key: image(messages, '{"room_id":1,"no":7,"body":"hi"}') })],
    })
    const { data } = await ask(
      schema,
      context,
      '{ watchedTables { schema name comment queryField subscriptionField rowType key columns { field } } }',
    )
    const [first, second] = (data as { watchedTables: Watched[] }).watchedTables
    expect(second).toMatchObject({
      schema: 'public',
      name: 'people',
      comment: null,
      rowType: 'People',
      key: ['pk'],
    })
    expect(first).toMatchObject({
      schema: 'chat',
      name: 'messages',
      comment: 'What was said.',
      rowType: 'ChatMessages',
    })
    const { queryField, subscriptionField, columns, key } = first as Watched
    expect(key).toEqual(['no', 'roomId'])
    const fields = columns.map(({ field }) => field).join(' ')
    expect(await ask(schema, context, `{ ${queryField} { cursor rows { ${fields} } } }`)).toEqual({
      data: { chatMessages: { cursor: 'start', rows: [{ roomId: 1, no: '7', body: 'hi' }] } },
    })
    expect(
      await listen(
        schema,
        context,
        `subscription { ${subscriptionField} { key { ${key.join(' ')} } row { ${fields} } } }`,
        1,
      ),
    ).toEqual([{ data: { chatMessagesChanged: { key: { no: '7', roomId: 1 }, row: null } } }])
  })
})

interface Watched {
  queryField: string
  subscriptionField: string
  key: string[]
  columns: { field: string }[]
}
