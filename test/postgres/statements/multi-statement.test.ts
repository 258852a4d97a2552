import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { collectSeveral } from '../../../src/postgres/statements/multi-statement.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'

let database: TestDatabase
let client: pg.Client

beforeAll(async () => {
  database = await createTestDatabase()
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
})
afterAll(async () => {
  await client?.end()
  await database?.close()
})

const SILENCE_MS = 10_000
const text = (bytes: number, rows = 1) => `select repeat('x', ${bytes}) as x from generate_series(1, ${rows})`
const collect = (statements: readonly string[], most: number, total: number) =>
  collectSeveral(client, statements.join('; '), SILENCE_MS, most, total)

it('returns the rows of the statements that return columns', async () => {
  const statements = ['set local jit = off', 'select 1 as a, null as b', 'select 2 as a limit 0', text(1, 2)]
  expect(await collect(statements, 10, 10)).toEqual([[{ a: 1, b: null }], [], [{ x: 'x' }, { x: 'x' }]])
})

it('drops the rows of a statement that returns too much, in several rows or in one', async () => {
  expect(await collect([text(2, 3), text(5), text(2)], 4, 4)).toEqual([undefined, undefined, [{ x: 'xx' }]])
})

it('counts bytes, not characters', async () => {
  expect(await collect([`select 'é' as x`, `select 'éé' as x`], 2, 2)).toEqual([[{ x: 'é' }], undefined])
})

it('drops everything if all statements together return too much', async () => {
  expect(await collect([text(4), text(4), text(1)], 4, 8)).toBeUndefined()
  expect(await collect([text(4), text(4)], 4, 8)).toHaveLength(2)
})
