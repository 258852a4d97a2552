import type { GraphQLSchema } from 'graphql'
import { parse, validate } from 'graphql'
import { expect, it } from 'vitest'
import { buildSchema } from '../../schema/index.js'
import { ANONYMOUS } from '../../src/auth/viewer.js'
import { createEngine } from '../../src/graphql/engine.js'
import { createClientErrors } from '../../src/graphql/errors.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { PLAIN } from '../support/cursors.js'
import { column, table } from '../support/watched-tables.js'

const people = table('people', [column('id', 'int4')])

/** An engine whose tables are unknown until `know` is called. */
function createUnknowing() {
  const known = createDeferred()
  const unreached = createDeferred()
  let schema: GraphQLSchema = buildSchema()
  let isKnown = false
  let isReached = false
  const engine = createEngine({
    getEnveloped: () => ({ schema, parse: source => parse(source), validate }),
    contextFor: () => ({ opensSources: true, keepsJsonText: true }),
    toClientError: createClientErrors(() => undefined),
    schemaState: {
      get isKnown() {
        return isKnown
      },
      known: known.promise,
      unreached: () => (isReached ? undefined : unreached.promise),
    },
    cursors: PLAIN,
  })
  return {
    engine,
    unreached,
    reach() {
      isReached = true
    },
    know() {
      schema = buildSchema({ tables: [people] })
      isKnown = true
      known.resolve()
    },
  }
}

it.each([
  '{ watchedTables { name } }',
  'query Q { ...Tables } fragment Tables on Query { ... { watchedTables { name } } }',
])('a server that has just started answers %s once it knows its tables', async query => {
  const { engine, know } = createUnknowing()
  const prepared = engine.prepare({ viewer: ANONYMOUS, query })
  await new Promise(resolve => setImmediate(resolve))
  know()
  const operation = await prepared
  if (operation.kind !== 'query') throw new Error(JSON.stringify(operation))
  expect(await operation.run()).toEqual({ data: { watchedTables: [{ name: 'people' }] } })
})

it('an operation that does not depend on tables is answered immediately', async () => {
  const { engine } = createUnknowing()
  const operation = await engine.prepare({ viewer: ANONYMOUS, query: '{ __typename }' })
  if (operation.kind !== 'query') throw new Error(JSON.stringify(operation))
  expect(await operation.run()).toEqual({ data: { __typename: 'Query' } })
})

it('while the database cannot be reached, the error is immediate', async () => {
  const { engine, unreached } = createUnknowing()
  const prepared = engine.prepare({ viewer: ANONYMOUS, query: '{ watchedTables { name } }' })
  unreached.resolve()
  const operation = await prepared
  if (operation.kind !== 'query') throw new Error(JSON.stringify(operation))
  expect(await operation.run()).toMatchObject({ errors: [{ extensions: { code: 'DATABASE_FAILED' } }] })
})

it('waits for the tables of a database that is reached after attempts that failed', async () => {
  const { engine, unreached, reach, know } = createUnknowing()
  unreached.resolve()
  reach()
  const prepared = engine.prepare({ viewer: ANONYMOUS, query: '{ watchedTables { name } }' })
  await new Promise(resolve => setImmediate(resolve))
  know()
  const operation = await prepared
  if (operation.kind !== 'query') throw new Error(JSON.stringify(operation))
  expect(await operation.run()).toEqual({ data: { watchedTables: [{ name: 'people' }] } })
})

it('a request whose client leaves while it waits for its turn is neither parsed nor run', async () => {
  const { engine, know } = createUnknowing()
  know()
  const left = Array.from({ length: 20 }, () => new AbortController())
  const asked = [...Array(20).fill(undefined), ...left].map(each =>
    engine.prepare({ viewer: ANONYMOUS, query: '{ watchedTables { name } }' }, each?.signal),
  )
  for (const each of left) each.abort()
  const kinds = (await Promise.all(asked)).map(({ kind }) => kind)
  expect(kinds).toEqual([...Array(20).fill('query'), ...Array(20).fill('invalid')])
})
