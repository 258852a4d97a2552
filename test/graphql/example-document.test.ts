import { type GraphQLSchema, getOperationAST, parse, print, validate } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DEMO_TABLES } from '../../schema/demo-tables.js'
import { buildSchema } from '../../schema/index.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { exampleDocument } from '../../src/graphql/example-document.js'
import { snippetsOf } from '../support/snippets.js'

const [people, visits] = DEMO_TABLES as readonly [WatchedTable, WatchedTable]
const demo = buildSchema({ tables: DEMO_TABLES })

/** The fields below the root, by their paths. */
function pathsOf(schema: GraphQLSchema): string {
  const document = parse(exampleDocument(schema))
  expect(validate(schema, document)).toEqual([])
  expect(getOperationAST(document)?.operation).toBe('subscription')
  return print(document).replace(/\s+/g, ' ')
}

describe('the example of GraphiQL', () => {
  it("is a live query with a relation where the demo's tables are, the one of README", () => {
    const [live, once] = snippetsOf('README.md').filter(({ language }) => language === 'graphql')
    expect(print(parse(exampleDocument(demo)))).toBe(print(parse(live?.text ?? '')))
    // An operation that only begins with `query` is printed without the word.
    expect(live?.text.replace('subscription', 'query')).toBe(once?.text)
    expect(validate(demo, parse(once?.text ?? ''))).toEqual([])
  })

  it('is a live query of people where there are no visits, as in a demo of an earlier version', () => {
    const paths = pathsOf(buildSchema({ tables: [people] }))
    expect(paths).toContain('people(')
    expect(paths).not.toContain('visits')
  })

  it('is a live query of another table than those of the demo, with linked rows if a table has them', () => {
    const orders = { ...people, relid: '3', name: 'orders' }
    for (const tables of [[orders], [...DEMO_TABLES, orders]])
      expect(pathsOf(buildSchema({ tables }))).toContain(
        'orders(orderBy: [{pk: DESC}], limit: 5) { rows { pk ts name age } }',
      )
    // `visits` reference `members`, and `orders` nothing: `members` have a list of linked rows.
    const members = { ...people, name: 'members' }
    expect(pathsOf(buildSchema({ tables: [orders, visits, members] }))).toContain(
      'members(orderBy: [{pk: DESC}], limit: 5) { rows { pk ts name age visits(limit: 3) { pk ts personId place } } }',
    )
    // The same name as in the demo, and other columns.
    const same = { ...people, columns: people.columns.filter(({ name }) => name !== 'age') }
    expect(pathsOf(buildSchema({ tables: [same] }))).toContain('rows { pk ts name height }')
  })

  it('fits tables with any columns, keys and names', () => {
    const texts = { ...people, name: 'texts', key: ['name'] }
    expect(pathsOf(buildSchema({ tables: [texts] }))).toContain('texts(limit: 5)')
    expect(pathsOf(buildSchema({ tables: [{ ...texts, key: [] }] }))).toContain('texts(limit: 5)')
    const bare = { ...people, name: 'bare', columns: [], key: [] }
    expect(pathsOf(buildSchema({ tables: [bare] }))).toContain('bare(limit: 5)')
    // `live` has fields with these names then.
    const cursors = { ...people, relid: '3', name: 'cursor' }
    expect(pathsOf(buildSchema({ tables: [{ ...people, name: 'rows' }, cursors] }))).toContain('limit: 5')
  })

  it('is a channel where no table is watched', () => {
    for (const schema of [buildSchema(), buildSchema({ tables: [] })])
      expect(pathsOf(schema)).toContain('channel(name: "people")')
  })
})
