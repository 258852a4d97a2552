import { type GraphQLSchema, getOperationAST, parse, print, validate } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DEMO_TABLES } from '../../schema/demo-tables.js'
import { buildSchema } from '../../schema/index.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { exampleDocument } from '../../src/graphql/example-document.js'
import { snippetsOf } from '../support/snippets.js'

const [people] = DEMO_TABLES as readonly [WatchedTable]
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

  it('is a channel where there is neither', () => {
    const other = { ...people, name: 'orders' }
    for (const schema of [buildSchema(), buildSchema({ tables: [] }), buildSchema({ tables: [other] })])
      expect(pathsOf(schema)).toContain('channel(name: "people")')
    // The same name, and other columns.
    const same = { ...people, columns: people.columns.filter(({ name }) => name !== 'age') }
    expect(pathsOf(buildSchema({ tables: [same] }))).toContain('channel(')
  })
})
