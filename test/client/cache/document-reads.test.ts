import { buildSchema, introspectionFromSchema, parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { documentReads } from '../../../src/client/cache/document-reads.js'
import { resultPosition } from '../../../src/client/cache/result-position.js'
import { type Introspection, tablesOf } from '../../../src/client/cache/tables-of.js'
import { demoIntrospection } from '../../support/demo-introspection.js'

const tables = tablesOf(demoIntrospection())

function deciding(text: string, variables?: Record<string, unknown>): Record<string, unknown> {
  const reads = documentReads(parse(text), variables, tables)
  return Object.fromEntries(
    [...reads.types].map(type => {
      const columns = reads.decidingOf(type)
      return [
        type,
        columns === 'all'
          ? 'all'
          : [...(columns ?? [])].filter(name => tables.rows[type]?.columns.includes(name)),
      ]
    }),
  )
}

describe('what decides about the rows of a query', () => {
  it.each([
    ['{ people { rows { pk name } } }', { People: [] }],
    ['{ people(where: { age: { gt: 3 } }) { rows { pk } } }', { People: ['age'] }],
    [
      '{ people(where: { or: [{ not: { age: { gt: 3 } } }, { and: [{ name: { eq: "x" } }] }] }) { rows { pk } } }',
      { People: ['age', 'name'] },
    ],
    ['{ people(orderBy: [{ name: ASC }, { ts: DESC }]) { rows { pk } } }', { People: ['name', 'ts'] }],
    [
      '{ people { ...S } } fragment S on PeopleSnapshot { rows { ... on People { pk } ...R } } fragment R on People { name }',
      { People: [] },
    ],
    ['{ mine: people { some: rows { pk } } }', { People: [] }],
    // Which column links the rows is not in the schema.
    ['{ people { rows { pk visits { pk } } } }', { People: [], Visits: 'all' }],
    ['{ visits { rows { pk person { pk } } } }', { Visits: 'all', People: [] }],
    ['{ people { rows { pk visitsAggregate { count } } } }', { People: [], Visits: 'all' }],
    ['{ peopleAggregate { count } }', { People: 'all' }],
    [
      '{ people(where: { visits: { some: { place: { eq: "x" } } } }) { rows { pk } } }',
      { People: 'all', Visits: 'all' },
    ],
    // Such rows are not normalised.
    ['{ people { rows { name } } }', { People: 'all' }],
    ['{ channels }', {}],
    ['mutation { notify(channel: "people", payload: "") }', {}],
  ])('%s', (text, expected) => {
    expect(deciding(text)).toEqual(expected)
  })

  it('reads variables, whole or within a condition', () => {
    const where =
      'query ($where: PeopleFilter, $order: [PeopleOrderBy!]) { people(where: $where, orderBy: $order) { rows { pk } } }'
    expect(deciding(where, { where: { age: { gt: 3 } }, order: [{ name: 'ASC' }] })).toEqual({
      People: ['age', 'name'],
    })
    const within = 'query ($age: IntComparison) { people(where: { age: $age }) { rows { pk } } }'
    expect(deciding(within, { age: { gt: 3 } })).toEqual({ People: ['age'] })
    expect(deciding(where)).toEqual({ People: [] })
  })

  it('counts a column that changes do not deliver', () => {
    const few = tablesOf(demoIntrospection(), { columns: { People: ['name'] } })
    const all = (text: string) => documentReads(parse(text), {}, few).decidingOf('People')
    expect(all('{ people { rows { pk age } } }')).toBe('all')
    expect(all('{ people { rows { pk name } } }')).not.toBe('all')
  })

  it('a condition on linked rows makes the field depend on their table', () => {
    const reads = documentReads(
      parse('{ people(where: { visits: { none: {} } }) { rows { pk } } }'),
      {},
      tables,
    )
    expect([...reads.filteredBy('Visits')]).toEqual(['Query.people'])
  })
})

it('with a unique foreign key, a change of either table decides, since the schema does not tell which one has it', () => {
  const change = (type: string) =>
    `type ${type}Change { operation: String transaction: String row: ${type} key: Key }`
  const sdl = `type Key { id: Int }
    type A { id: Int b: B } type B { id: Int a: A } ${change('A')} ${change('B')}
    type AList { rows: [A] } type Query { as: AList } type Subscription { aChanged: AChange bChanged: BChange }`
  const linked = tablesOf(introspectionFromSchema(buildSchema(sdl)) as Introspection)
  const reads = documentReads(parse('{ as { rows { id b { id } } } }'), {}, linked)
  expect([reads.decidingOf('A'), reads.decidingOf('B')]).toEqual(['all', 'all'])
})

describe('whether a change decides', () => {
  const reads = documentReads(parse('{ people(where: { age: { gt: 3 } }) { rows { pk name } } }'), {}, tables)
  const row = { pk: 1, name: 'Ada', age: 36 }
  const change = (operation: string, now: object | null, old: object | null) =>
    reads.isDecidedBy('People', { operation, key: { pk: 1 }, row: now, old, transaction: '1' } as never)

  it.each([
    ['another value of a column that only shows', change('UPDATE', { ...row, name: 'Eve' }, row), false],
    ['another value of a column in where', change('UPDATE', { ...row, age: 1 }, row), true],
    ['INSERT', change('INSERT', row, null), true],
    ['DELETE', change('DELETE', null, row), true],
    ['TRUNCATE', change('TRUNCATE', null, null), true],
    ['a row that comes into sight', change('UPDATE', row, null), true],
    ['a row that goes out of sight', change('UPDATE', null, row), true],
  ])('%s', (_, decides, expected) => {
    expect(decides).toBe(expected)
  })

  it('no change of a table that is not read', () => {
    expect(reads.isDecidedBy('Visits', { operation: 'INSERT', row: {}, old: null, transaction: '1' })).toBe(
      false,
    )
  })
})

describe('the position of a result', () => {
  const position = (text: string, data: unknown) => resultPosition(parse(text), data, tables)

  it('is the cursor of the only list', () => {
    expect(position('{ people { cursor rows { pk } } }', { people: { cursor: 'c' } })).toBe('c')
    expect(position('{ channels mine: people { at: cursor } }', { mine: { at: 'c' } })).toBe('c')
  })

  it('is unknown without a cursor, for several lists, and without data', () => {
    expect(position('{ people { rows { pk } } }', { people: {} })).toBe(undefined)
    expect(
      position('{ people { cursor } visits { cursor } }', {
        people: { cursor: 'c' },
        visits: { cursor: 'd' },
      }),
    ).toBe(undefined)
    expect(position('{ people { cursor } }', null)).toBe(undefined)
    expect(position('{ people { cursor } }', undefined)).toBe(undefined)
  })
})
