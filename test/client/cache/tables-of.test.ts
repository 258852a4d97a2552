import { expect, it } from 'vitest'
import { typePoliciesOf } from '../../../src/client/apollo/type-policies.js'
import { tablesOf } from '../../../src/client/cache/tables-of.js'
import { keysOf } from '../../../src/client/urql/keys.js'
import { demoIntrospection } from '../../support/demo-introspection.js'

const demo = demoIntrospection()

it('finds tables, keys, columns and links', () => {
  const { rows, roots, query } = tablesOf(demo)
  expect(query).toBe('Query')
  expect(rows.People).toEqual({
    changes: 'peopleChanged',
    change: 'PeopleChange',
    key: ['pk'],
    columns: ['age', 'height', 'name', 'pk', 'ts'],
    links: {
      visits: { type: 'Visits', shows: 'rows' },
      visitsAggregate: { type: 'Visits', shows: 'aggregate' },
    },
  })
  expect(rows.Visits?.links).toEqual({ person: { type: 'People', shows: 'row' } })
  expect(roots).toEqual({
    people: { type: 'People', shows: 'snapshot' },
    peopleAggregate: { type: 'People', shows: 'aggregate' },
    visits: { type: 'Visits', shows: 'snapshot' },
    visitsAggregate: { type: 'Visits', shows: 'aggregate' },
  })
})

it('is plain data, which a file can hold', () => {
  const tables = tablesOf(demo)
  expect(JSON.parse(JSON.stringify(tables))).toEqual(tables)
})

it('knows the types that have no identity, although they may have a field id', () => {
  const { embedded } = tablesOf(demo)
  expect(embedded).toContain('PeopleSnapshot')
  expect(embedded).toContain('PeopleAggregateMax')
  expect(embedded).toContain('PeopleKey')
  expect(embedded).not.toContain('People')
  expect(embedded).not.toContain('Query')
})

it('delivers only the columns that are wanted, and always the key', () => {
  const { rows } = tablesOf(demo, { columns: { People: ['name'] } })
  expect(rows.People?.columns).toEqual(['name', 'pk'])
  expect(rows.Visits?.columns).toContain('place')
})

it('refuses what it cannot use, and says what to pass', () => {
  expect(() => tablesOf({ data: demo } as never)).toThrow(/pass `data`/)
  const { queryType, types } = demo.__schema
  expect(() =>
    tablesOf({ __schema: { queryType, types: types.filter(({ name }) => name === 'Query') } }),
  ).toThrow(/no watched table: npx listenql watch/)
  // What `data` of a server without introspection is.
  for (const nothing of [undefined, null, {}])
    expect(() => tablesOf(nothing as never)).toThrow(
      /no introspection result.*--introspection.*npx listenql schema/,
    )
  expect(() => tablesOf(demo, { columns: { People: ['nam'] } })).toThrow(
    'columns: People has no column nam; it has age, height, name, pk, ts',
  )
  expect(() => tablesOf(demo, { columns: { Persons: [] } })).toThrow(
    'columns: Persons is not a watched table; there are People, Visits',
  )
})

it('typePolicies and keys name the primary key, unless it is id', () => {
  const keys = { People: ['pk'], Seats: ['hall', 'number'], Visits: ['id'], Notes: [] }
  expect(typePoliciesOf(keys)).toMatchObject({
    People: { keyFields: ['pk'] },
    Seats: { keyFields: ['hall', 'number'] },
    Notes: { keyFields: false },
    PeopleAggregateMax: { keyFields: false },
  })
  expect(typePoliciesOf(keys)).not.toHaveProperty('Visits')
  const { People, Seats, Visits, Notes, PeopleAggregateMax } = keysOf(keys)
  expect(People?.({ __typename: 'People', pk: 7 })).toBe('7')
  expect(People?.({ __typename: 'People' })).toBe(null)
  expect(Seats?.({ __typename: 'Seats', hall: 'a', number: 1 })).toBe('["a",1]')
  expect(Visits).toBe(undefined)
  expect(Notes?.({ __typename: 'Notes' })).toBe(null)
  expect(PeopleAggregateMax?.({ __typename: 'PeopleAggregateMax', id: 1 } as never)).toBe(null)
})

it('both forms give the same policies for the demo', () => {
  const given = typePoliciesOf({ People: ['pk'], Visits: ['pk'] })
  const found = typePoliciesOf(tablesOf(demo))
  expect(found).toMatchObject({ People: given.People, Visits: given.Visits })
  expect(Object.keys(found).sort()).toEqual(Object.keys(given).sort())
})
