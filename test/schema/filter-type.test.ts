import { GraphQLError, type GraphQLInputObjectType } from 'graphql'
import { describe, expect, it } from 'vitest'
import { buildSchema } from '../../schema/index.js'
import { MAX_ROWS } from '../../schema/planning/plan-limits.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { type Filter, operatorsOf } from '../../src/filters/index.js'
import type { TypeCategory } from '../../src/postgres/types.js'
import { ask, column, createFakeContext, listen, table } from '../support/watched-tables.js'

const moods = { baseType: 'mood', enumSchema: 'public', enumLabels: ['sad', 'so so', 'true'] }
const all = table('all', [
  column('a_bool', 'bool'),
  column('a_bytea', 'bytea'),
  column('a_date', 'date'),
  column('a_float', 'float8'),
  column('an_int2', 'int2'),
  column('an_int4', 'int4'),
  column('an_int8', 'int8'),
  column('an_interval', 'interval'),
  column('a_json', 'json'),
  column('a_mood', 'enum', moods),
  column('a_name', 'text'),
  column('a_network', 'other'),
  column('a_numeric', 'numeric'),
  column('a_time', 'time'),
  column('a_timestamp', 'timestamp'),
  column('a_timestamptz', 'timestamptz'),
  column('a_timetz', 'timetz'),
  column('a_uuid', 'uuid'),
  column('an_array', 'int4', { isArray: true }),
  column('a_composite', 'composite'),
  column('an_empty_enum', 'enum', { ...moods, baseType: 'none', enumLabels: [] }),
])
const schema = buildSchema({ tables: [all] })

/** The filter parsed from a literal, or the error. */
async function literal(where: string): Promise<Filter | GraphQLError> {
  const { context, asked } = createFakeContext()
  const { errors } = await ask(schema, context, `{ all(where: ${where}) { cursor } }`)
  return errors?.[0] ?? (asked.snapshots[0]?.filter as Filter)
}

/** The filter parsed from a variable, or the error. */
async function variable(where: unknown): Promise<Filter | GraphQLError> {
  const { context, asked } = createFakeContext()
  const document = 'query ($where: AllFilter) { all(where: $where) { cursor } }'
  const { errors } = await ask(schema, context, document, { where })
  return errors?.[0] ?? (asked.snapshots[0]?.filter as Filter)
}

const equal = (name: string, text: string) => ({
  kind: 'compare',
  operator: 'eq',
  column: { name },
  operand: { text },
})

describe('the filter receives values as the client wrote them:', () => {
  it.each<[field: string, name: string, written: string, text: string]>([
    ['aBool', 'a_bool', 'true', 'true'],
    ['aBytea', 'a_bytea', '"AP8="', '\\x00ff'],
    ['aDate', 'a_date', '"0044-03-15 BC"', '0044-03-15 BC'],
    ['aFloat', 'a_float', '0.30000000000000004', '0.30000000000000004'],
    ['anInt2', 'an_int2', '-32768', '-32768'],
    ['anInt4', 'an_int4', '2147483647', '2147483647'],
    ['anInt8', 'an_int8', '"9007199254740993"', '9007199254740993'],
    ['anInterval', 'an_interval', '"P1DT2H"', 'P1DT2H'],
    ['aName', 'a_name', '"\\u00fc🐘"', 'ü🐘'],
    ['aNetwork', 'a_network', '"10.0.0.0/8"', '10.0.0.0/8'],
    ['aNumeric', 'a_numeric', '"123456789012345678901234567890.5"', '123456789012345678901234567890.5'],
    ['aTime', 'a_time', '"22:41:00.000001"', '22:41:00.000001'],
    ['aTimestamp', 'a_timestamp', '"2026-11-22T22:41:00.123456"', '2026-11-22T22:41:00.123456'],
    ['aTimestamptz', 'a_timestamptz', '"2026-11-22T22:41:00.123456Z"', '2026-11-22T22:41:00.123456Z'],
    ['aTimetz', 'a_timetz', '"22:41:00+01:00"', '22:41:00+01:00'],
    ['aUuid', 'a_uuid', '"F47AC10B-58CC-4372-A567-0E02B2C3D479"', 'f47ac10b-58cc-4372-a567-0e02b2c3d479'],
  ])('%s', async (field, name, written, text) => {
    expect(await literal(`{ ${field}: { eq: ${written} } }`)).toMatchObject(equal(name, text))
    expect(await variable({ [field]: { eq: JSON.parse(written) } })).toMatchObject(equal(name, text))
    expect(await literal(`{ ${field}: { in: [${written}] } }`)).toMatchObject({
      kind: 'in',
      operands: [{ text }],
    })
  })

  it('number literals of BigInt and Decimal with all digits', async () => {
    expect(await literal('{ anInt8: { eq: 9007199254740993 } }')).toMatchObject(
      equal('an_int8', '9007199254740993'),
    )
    const long = '123456789012345678901234567890.12345'
    expect(await literal(`{ aNumeric: { eq: ${long} } }`)).toMatchObject(equal('a_numeric', long))
    expect(await literal('{ aNumeric: { eq: 1e3 } }')).toMatchObject({ kind: 'compare' })
  })

  it('JSON numbers that cannot have lost precision', async () => {
    expect(await variable({ anInt8: { eq: 9007199254740991 } })).toMatchObject(
      equal('an_int8', '9007199254740991'),
    )
    expect(await variable({ aNumeric: { eq: 0.1 } })).toMatchObject(equal('a_numeric', '0.1'))
    expect(await variable({ aNumeric: { eq: 1e20 } })).toMatchObject({ kind: 'compare' })
    for (const where of [
      { anInt8: { eq: JSON.parse('9007199254740993') } },
      { aNumeric: { eq: JSON.parse('12345678901234567.89') } },
    ])
      expect(await variable(where)).toMatchObject({
        message: expect.stringContaining('has more digits than a JSON number keeps; give it as a string'),
      })
  })

  it('enum values as labels', async () => {
    expect(await literal('{ aMood: { eq: so_so } }')).toMatchObject(equal('a_mood', 'so so'))
    expect(await variable({ aMood: { in: ['true_', 'sad'] } })).toMatchObject({
      operands: [{ text: 'true' }, { text: 'sad' }],
    })
    expect(await literal('{ aMood: { eq: happy } }')).toBeInstanceOf(GraphQLError)
  })
})

describe('a filter that does not fit the table', () => {
  it.each([
    [
      '{ aTimestamptz: { eq: "2026-11-22T22:41:00" } }',
      'DateTime: "2026-11-22T22:41:00" is not a timestamp with an offset',
    ],
    ['{ aTimestamptz: { eq: 5 } }', 'DateTime: 5 is not a timestamp with an offset'],
    ['{ aDate: { eq: infinity } }', 'Date: infinity is not a date'],
    ['{ aDate: { eq: "2026-02-30" } }', 'Date: "2026-02-30" is not a date'],
    ['{ anInt8: { eq: 1.5 } }', 'BigInt: 1.5 is not an integer'],
    ['{ anInt8: { eq: 9223372036854775808 } }', 'BigInt: 9223372036854775808 is out of the range'],
    ['{ aNumeric: { eq: "1,5" } }', 'Decimal: "1,5" is not a decimal number'],
    ['{ aUuid: { eq: "nonsense" } }', 'UUID: "nonsense" is not a uuid'],
    ['{ aBytea: { eq: "AP8" } }', 'Bytes: "AP8" is not base64 with its padding'],
  ])('is refused: %s', async (where, message) => {
    const error = await literal(where)
    expect(error).toBeInstanceOf(GraphQLError)
    expect((error as GraphQLError).message).toContain(message)
  })

  it.each([
    ['{ aName: { eq: null } }', 'where.aName.eq: is null', 'use isNull: true, or leave it out'],
    ['{ aName: { isNull: null } }', 'where.aName.isNull: is null', 'use isNull: true, or leave it out'],
    ['{ aName: null }', 'where.aName: is null', 'leave it out'],
    ['{ and: [{ not: null }] }', 'where.and[0].not: is null', 'leave it out'],
    [
      '{ anInt2: { eq: 40000 } }',
      'where.anInt2.eq: 40000 is out of the range of smallint (int2), -32768 to 32767',
      undefined,
    ],
    [
      '{ aName: { like: "\\\\" } }',
      'where.aName.like: ends in a lone backslash',
      'write two backslashes for one',
    ],
  ])('is refused: %s, in terms of GraphQL names', async (where, message, hint) => {
    expect(await literal(where)).toMatchObject({
      path: ['all'],
      originalError: { code: 'FILTER_INVALID', message, hint },
    })
  })

  it('is refused in a subscription too', async () => {
    const { context, asked } = createFakeContext()
    const [result] = await listen(
      schema,
      context,
      'subscription { allChanged(where: { anInt4: { gt: null } }) { cursor } }',
      1,
    )
    expect(result).toMatchObject({
      errors: [{ originalError: { code: 'FILTER_INVALID', message: 'where.anInt4.gt: is null' } }],
    })
    expect(asked.changes).toEqual([])
  })
})

describe('the input type of a filter', () => {
  it('is recursive', async () => {
    expect(
      await literal('{ or: [{ aName: { ilike: "a%" } }, { not: { anInt4: { gte: 1, lt: 5 } } }] }'),
    ).toEqual(await variable({ or: [{ aName: { ilike: 'a%' } }, { not: { anInt4: { gte: 1, lt: 5 } } }] }))
  })

  it('supports a column with the name of a member of Object.prototype', async () => {
    const odd = table('odd', [column('constructor'), column('and', 'int4'), column('hasOwnProperty')])
    const { context, asked } = createFakeContext()
    const document = 'query ($where: OddFilter) { odd(where: $where) { cursor } }'
    const where = { and_: { eq: 1 }, constructor_: { eq: 'x' } }
    expect(await ask(buildSchema({ tables: [odd] }), context, document, { where })).toEqual({
      data: { odd: { cursor: 'start' } },
    })
    expect(asked.snapshots[0]?.filter).toMatchObject({
      kind: 'and',
      filters: [equal('constructor', 'x'), equal('and', '1')],
    })
  })

  it('has exactly the operators of each column', () => {
    const fields = (schema.getType('AllFilter') as GraphQLInputObjectType).getFields()
    const names = Object.keys(fields).slice(3) // after and, or, not
    expect(names).toHaveLength(all.columns.length)
    for (const [i, name] of names.entries()) {
      const comparison = fields[name]?.type as GraphQLInputObjectType
      expect(Object.keys(comparison.getFields()), name).toEqual(
        operatorsOf(all.columns[i] as WatchedTable['columns'][number]),
      )
    }
    const types = Object.fromEntries(names.map(name => [name, String(fields[name]?.type)]))
    expect(types).toMatchObject({
      aName: 'StringComparison', aNetwork: 'StringEqualityComparison', anEmptyEnum: 'StringOrderComparison', aJson: 'NullComparison',
      anArray: 'NullComparison', aComposite: 'NullComparison', aMood: 'MoodComparison', anInt2: 'IntComparison', aTimetz: 'TimeComparison',
    }) // biome-ignore format: a list
  })

  it('shares one comparison type between categories with the same operators', () => {
    const categories: TypeCategory[] = [
      'bpchar',
      'citext',
      'text',
      'other',
      'composite',
      'json',
      'int2',
      'int4',
      'float4',
      'float8',
    ]
    const t = table(
      't',
      categories.map((category, i) => column(`c${i}`, category)),
    )
    const names = Object.keys(buildSchema({ tables: [t] }).getTypeMap()).filter(name =>
      name.endsWith('Comparison'),
    )
    expect(names.sort()).toEqual([
      'FloatComparison',
      'IntComparison',
      'NullComparison',
      'StringComparison',
      'StringEqualityComparison',
    ])
  })
})

describe('the arguments of a snapshot', () => {
  async function snapshot(args: string, variables: Record<string, unknown> = {}, declared = '') {
    const { context, asked } = createFakeContext()
    const { errors } = await ask(schema, context, `query ${declared} { all${args} { cursor } }`, variables)
    return errors?.[0] ?? asked.snapshots[0]
  }

  it('default to 100 rows without an order', async () => {
    expect(await snapshot('')).toMatchObject({ table: 'all', orderBy: [], limit: 100, offset: 0 })
    expect(await snapshot('(limit: null, offset: null, where: null, orderBy: null)')).toMatchObject({
      orderBy: [],
      limit: 100,
      offset: 0,
    })
  })

  it('order by columns of the table', async () => {
    const orderBy = [
      { column: 'a_timestamptz', direction: 'DESC_NULLS_LAST' },
      { column: 'an_int4', direction: 'ASC' },
    ]
    expect(await snapshot('(orderBy: [{ aTimestamptz: DESC_NULLS_LAST }, { anInt4: ASC }])')).toMatchObject({
      orderBy,
    })
    expect(
      await snapshot(
        '(orderBy: $o)',
        { o: [{ aTimestamptz: 'DESC_NULLS_LAST' }, { anInt4: 'ASC' }] },
        '($o: [AllOrderBy!])',
      ),
    ).toMatchObject({ orderBy })
  })

  it('take one column per item of orderBy', async () => {
    const message = expect.stringMatching(/exactly one key/i)
    for (const orderBy of ['{}', '{ anInt4: ASC, aName: DESC }']) {
      expect(await snapshot(`(orderBy: [${orderBy}])`)).toMatchObject({ message })
    }
    for (const item of [{}, { anInt4: 'ASC', aName: 'DESC' }]) {
      expect(await snapshot('(orderBy: $o)', { o: [item] }, '($o: [AllOrderBy!])')).toMatchObject({ message })
    }
    expect(await snapshot('(orderBy: [{ anInt4: null }])')).toMatchObject({
      message: expect.stringContaining('must be non-null'),
    })
  })

  it('order only by columns whose types have an order', () => {
    const fields = Object.keys((schema.getType('AllOrderBy') as GraphQLInputObjectType).getFields())
    for (const field of ['aJson', 'anArray', 'aComposite', 'aNetwork']) expect(fields).not.toContain(field)
    expect(fields).toHaveLength(all.columns.length - 4)
    const none = buildSchema({ tables: [table('t', [column('doc', 'json')])] })
    expect(
      none
        .getQueryType()
        ?.getFields()
        .t?.args.map(({ name }) => name),
    ).toEqual(['where', 'limit', 'offset'])
  })

  it('have limits', async () => {
    expect(await snapshot(`(limit: ${MAX_ROWS}, offset: 5)`)).toMatchObject({ limit: MAX_ROWS, offset: 5 })
    expect(await snapshot('(limit: 0)')).toMatchObject({ limit: 0 })
    const refused = (message: string) => ({
      path: ['all'],
      originalError: { code: 'ARGUMENT_INVALID', message },
    })
    expect(await snapshot('(limit: 10001)')).toMatchObject({
      path: ['all'],
      originalError: { code: 'LIMIT_EXCEEDED', limit: 'maxRows', message: 'limit: 10001 is more than 10000' },
    })
    expect(await snapshot('(limit: -1)')).toMatchObject(refused('limit: -1 is less than 0'))
    expect(await snapshot('(offset: -1)')).toMatchObject(refused('offset: -1 is less than 0'))
  })
})
