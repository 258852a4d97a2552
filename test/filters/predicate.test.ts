import { describe, expect, it } from 'vitest'
import {
  createImageReader,
  type FilterLimits,
  indexKeys,
  operatorsOf,
  parseFilter,
  toPredicate,
  toSql,
} from '../../src/filters/index.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { LimitExceeded } from '../../src/lib/limits/limit-exceeded.js'
import type { Column, TypeCategory } from '../../src/postgres/types.js'

function column(name: string, category: TypeCategory, more: Partial<Column> = {}): Column {
  return {
    name,
    category,
    baseType: category,
    typeName: category,
    typeOid: 0,
    notNull: false,
    isArray: false,
    ...more,
  }
}

const columns = [
  column('id', 'int8'),
  column('age', 'int2'),
  column('name', 'text'),
  column('price', 'numeric'),
  column('height', 'float4'),
  column('at', 'timestamptz'),
  column('on', 'timestamp'),
  column('key', 'uuid'),
  column('data', 'bytea'),
  column('doc', 'json'),
  column('tags', 'text', { isArray: true, typeName: 'text[]' }),
  column('mood', 'enum', { enumLabels: ['sad', 'happy'] }),
  column('lasts', 'interval'),
  column('net', 'other', { typeName: 'inet' }),
  column('a"b', 'int4'),
]
const fields = new Map(columns.map(each => [each.name, each]))
const read = createImageReader(columns)

function matches(filter: unknown, row: unknown): boolean {
  return toPredicate(parseFilter(fields, filter))(read(JSON.stringify(row)))
}

function refusal(filter: unknown, limits?: FilterLimits): string {
  try {
    parseFilter(fields, filter, limits)
  } catch (error) {
    expect(error).toBeInstanceOf(ListenqlError)
    const { code, message, hint } = error as ListenqlError
    if (error instanceof LimitExceeded) return `${error.limit}: ${message}`
    expect(code).toBe('FILTER_INVALID')
    return hint === undefined ? message : `${message} (${hint})`
  }
  return 'taken'
}

describe('a filter is refused with a message:', () => {
  it.each([
    [{ nme: { eq: 'x' } }, /^where\.nme: there is no such column \(columns: id, age, name, /],
    [
      { name: { is: 'x' } },
      /^where\.name\.is: columns of type text have no such operator \(operators: eq, neq, /,
    ],
    [{ age: { like: 'x' } }, /^where\.age\.like: columns of type int2 have no such operator/],
    [
      { doc: { eq: {} } },
      /^where\.doc\.eq: columns of type json have no such operator \(operators: isNull\)/,
    ],
    [{ tags: { eq: [] } }, /^where\.tags\.eq: columns of type text\[\] have no such operator/],
    [{ net: { lt: '::1' } }, /^where\.net\.lt: columns of type inet have no such operator/],
    [{ name: { eq: null } }, /^where\.name\.eq: is null \(use isNull: true/],
    [{ name: { in: ['a', null] } }, /^where\.name\.in\[1\]: is null \(use isNull: true/],
    [{ name: null }, /^where\.name: is null/],
    [{ not: null }, /^where\.not: is null/],
    [{ and: null }, /^where\.and: is not a list/],
    [{ or: {} }, /^where\.or: is not a list/],
    [[], /^where: is not an object/],
    ['x', /^where: is not an object/],
    [{ name: { isNull: 'yes' } }, /^where\.name\.isNull: is not true or false/],
    [{ name: { in: 'a' } }, /^where\.name\.in: is not a list of values/],
    [
      { or: [{}, { not: { age: { gt: 32768 } } }] },
      /^where\.or\[1\]\.not\.age\.gt: 32768 is out of the range of smallint/,
    ],
    [{ age: { gt: 1.5 } }, /1\.5 is not an integer/],
    [{ age: { gt: '1' } }, /"1" is not an integer/],
    [{ id: { eq: 2 ** 53 } }, /give it as a string/],
    [{ id: { eq: '9223372036854775808' } }, /out of the range of bigint/],
    [{ id: { eq: '' } }, /is not an integer/],
    [{ price: { eq: '1,5' } }, /is not a decimal number/],
    [{ price: { eq: '1e9999' } }, /is not a decimal number/],
    [{ price: { eq: '.' } }, /is not a decimal number/],
    [{ height: { eq: 1e39 } }, /out of the range of real/],
    [{ height: { eq: '1' } }, /is not a number/],
    [{ at: { gt: '2024-01-01T00:00:00' } }, /is not a timestamp with an offset/],
    [{ at: { gt: '2024-02-30T00:00:00Z' } }, /is not a timestamp/],
    [{ at: { gt: '0000-01-01T00:00:00Z' } }, /is not a timestamp/],
    [{ at: { gt: '294277-01-01T00:00:00Z' } }, /is not a timestamp/],
    [{ at: { gt: '2024-01-01T00:00:00.1234567Z' } }, /is not a timestamp/],
    [{ at: { gt: '2024-01-01T00:00:00+16:00' } }, /is not a timestamp/],
    [{ at: { gt: 'now' } }, /is not a timestamp/],
    [{ on: { gt: '2024-01-01T00:00:00Z' } }, /is not a timestamp without an offset/],
    [{ lasts: { gt: '1 day' } }, /is not an ISO 8601 duration/],
    [{ lasts: { gt: 'P' } }, /is not an ISO 8601 duration/],
    [{ lasts: { gt: 'P1DT' } }, /is not an ISO 8601 duration/],
    [{ lasts: { gt: 'P999999999Y' } }, /is not an ISO 8601 duration/],
    [{ key: { eq: 'a0eebc99' } }, /is not a uuid/],
    [{ data: { eq: 'AB' } }, /is not base64 with its padding/],
    [{ data: { eq: 'A-==' } }, /is not base64/],
    [{ mood: { eq: 'glad' } }, /"glad" is not one of sad, happy/],
    [{ name: { eq: 'a\0b' } }, /zero character/],
    [{ name: { eq: '\ud800' } }, /surrogate/],
    [{ name: { like: '\udc00%' } }, /surrogate/],
    [
      { name: { like: 'a\\' } },
      /^where\.name\.like: ends in a lone backslash \(write two backslashes for one\)/,
    ],
    [{ name: { eq: 7 } }, /7 is not a string/],
  ])('%j', (filter, message) => {
    expect(refusal(filter)).toMatch(message)
  })

  it('one that is too large', () => {
    const nested = (depth: number): unknown => (depth === 0 ? {} : { not: nested(depth - 1) })
    expect(refusal(nested(8))).toBe('taken')
    expect(refusal(nested(9))).toMatch(/^maxFilterDepth: .*nested more than 8 deep/)
    expect(refusal(nested(3), { depth: 2 })).toMatch(/: where\.not\.not\.not: is nested more than 2 deep/)
    expect(refusal({ id: { in: Array(1000).fill(1) } })).toBe('taken')
    expect(refusal({ id: { in: Array(1000).fill(1) }, age: { in: [1] } })).toMatch(
      /^maxFilterValues: .*more than 1000 values/,
    )
    expect(refusal({ or: Array(200).fill({}) })).toBe('taken')
    expect(refusal({ or: Array(201).fill({}) })).toMatch(/^maxFilterConditions: .*more than 200 conditions/)
    expect(refusal({ or: [{ id: { eq: 1, neq: 1 } }] }, { conditions: 2 })).toMatch(/more than 2 conditions/)
    expect(refusal({ name: { eq: 'x'.repeat(10_001) } })).toMatch(
      /^maxFilterText: .*longer than 10000 characters/,
    )
    expect(refusal({ name: { like: 'xxxx' } }, { length: 3 })).toMatch(/longer than 3 characters/)
  })

  it('one with a column that has the name of a member of Object.prototype', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      expect(refusal({ [name]: {} })).toMatch(/no such column/)
      expect(refusal({ name: { [name]: 'x' } })).toMatch(/no such operator/)
    }
    expect(refusal(JSON.parse('{"__proto__": {"eq": 1}}'))).toMatch(/no such column/)
  })
})

describe('a predicate', () => {
  it('matches all or none if it compares nothing', () => {
    for (const row of [{ id: 1 }, { id: null }]) {
      for (const every of [
        {},
        { and: [] },
        { id: {} },
        { not: { or: [] } },
        { id: { notIn: [] } },
        { name: undefined },
      ])
        expect(matches(every, row)).toBe(true)
      for (const none of [{ or: [] }, { not: {} }, { id: { in: [] } }, { not: { id: { notIn: [] } } }])
        expect(matches(none, row)).toBe(false)
    }
  })

  it('is unknown for NULL, and so is its negation', () => {
    const row = { age: null, id: 1 }
    for (const filter of [{ age: { eq: 1 } }, { age: { neq: 1 } }, { age: { notIn: [1] } }]) {
      expect(matches(filter, row)).toBe(false)
      expect(matches({ not: filter }, row)).toBe(false)
      expect(matches({ or: [filter, { id: { eq: 1 } }] }, row)).toBe(true)
      expect(matches({ not: { and: [filter, { id: { eq: 2 } }] } }, row)).toBe(true)
    }
    expect(matches({ age: { isNull: true } }, row)).toBe(true)
    expect(matches({ age: { isNull: true } }, {})).toBe(true)
  })

  it('loses no digit', () => {
    const row = '{"id":9007199254740993,"price":0.10000000000000000000001}'
    const test = (filter: unknown) => toPredicate(parseFilter(fields, filter))(read(row))
    expect(test({ id: { eq: '9007199254740993' } })).toBe(true)
    expect(test({ id: { eq: '9007199254740992' } })).toBe(false)
    expect(test({ id: { gt: '9007199254740992' } })).toBe(true)
    expect(test({ price: { gt: '0.1' } })).toBe(true)
    expect(test({ price: { eq: '0.100000000000000000000010' } })).toBe(true)
  })

  it('compares real as real', () => {
    expect(matches({ height: { eq: 1.9 } }, { height: 1.9 })).toBe(true)
    expect(matches({ height: { eq: 1.9000000001 } }, { height: 1.9 })).toBe(true)
  })

  it('supports infinite times and intervals', () => {
    expect(matches({ at: { gt: '2024-01-01T00:00:00Z' } }, { at: 'infinity' })).toBe(true)
    expect(matches({ at: { lt: '4714-11-24T00:00:00Z BC' } }, { at: '-infinity' })).toBe(true)
    expect(matches({ lasts: { gt: 'P9999Y' } }, { lasts: 'infinity' })).toBe(true)
  })

  it('neither matches nor orders an unknown label', () => {
    const row = { mood: 'new' }
    for (const filter of [{ eq: 'sad' }, { gt: 'sad' }, { lt: 'happy' }, { gte: 'sad' }])
      expect(matches({ mood: filter }, row)).toBe(false)
    expect(matches({ mood: { neq: 'sad' } }, row)).toBe(true)
  })

  it('takes time proportional to the text for any pattern', () => {
    const filter = { name: { like: `${'%a'.repeat(200)}%b` } }
    expect(matches(filter, { name: 'a'.repeat(100_000) })).toBe(false)
    expect(matches(filter, { name: `${'a'.repeat(100_000)}b` })).toBe(true)
  })
})

describe('SQL', () => {
  it('has quoted names, and values in parameters only', () => {
    const parameters: unknown[] = ['before']
    const sql = toSql(
      parseFilter(fields, { 'a"b': { eq: 1 }, name: { like: "'%" }, id: { in: ['1', 2] } }),
      parameters,
    )
    expect(sql).toBe(
      '(("a""b" operator(pg_catalog.=) $2::pg_catalog.int4) and ("name"::pg_catalog.text collate "C" operator(pg_catalog.~~) $3::pg_catalog.text)' +
        ' and ("id" operator(pg_catalog.=) any ($4::pg_catalog.int8[])))',
    )
    expect(parameters).toEqual(['before', '1', "'%", ['1', '2']])
  })

  it('qualifies columns with the name of a table', () => {
    expect(toSql(parseFilter(fields, { age: { isNull: true } }), [], '"t"')).toContain('"t"."age"')
  })
})

describe('index keys', () => {
  function keys(filter: unknown) {
    return indexKeys(parseFilter(fields, filter)).map(({ column: name, keys: set }) => [name, [...set]])
  }

  it('are the columns that must be equal, with the fewest values first', () => {
    expect(keys({ id: { eq: '5' } })).toEqual([['id', [5]]])
    expect(keys({ id: { in: ['5', '9007199254740993'] }, name: { eq: 'x' } })).toEqual([
      ['name', ['x']],
      ['id', [5, 9007199254740993n]],
    ])
    expect(keys({ or: [{ id: { eq: 1 } }, { id: { eq: 2 }, age: { eq: 3 } }] })).toEqual([['id', [1, 2]]])
    expect(keys({ id: { eq: 1 }, and: [{ id: { in: [1, 2] } }] })).toEqual([['id', [1]]])
    expect(keys({ id: { eq: 1, in: [2] } })).toEqual([['id', []]])
    expect(keys({ price: { eq: '1.50' } })).toEqual([['price', ['1.5']]])
  })

  it('are absent if other rows can match', () => {
    for (const filter of [
      {},
      { or: [] },
      { id: { neq: 1 } },
      { id: { notIn: [1] } },
      { not: { id: { eq: 1 } } },
      { or: [{ id: { eq: 1 } }, { age: { eq: 1 } }] },
      { or: [{ id: { eq: 1 } }, {}] },
      { id: { isNull: true } },
    ])
      expect(keys(filter)).toEqual([])
  })
})

it('each column lists its operators', () => {
  expect(operatorsOf(column('x', 'text'))).toContain('ilike')
  expect(operatorsOf(column('x', 'text', { isArray: true }))).toEqual(['isNull'])
  expect(operatorsOf(column('x', 'enum', { enumLabels: ['a'] }))).toContain('gte')
})
