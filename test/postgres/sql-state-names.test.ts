import { afterAll, beforeAll, expect, it } from 'vitest'
import { SQL_STATE, SQL_STATE_CLASS, sqlState } from '../../src/postgres/sql-state.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

let db: TestDatabase
beforeAll(async () => {
  db = await createTestDatabase()
})
afterAll(() => db.close())

/** `lockNotAvailable` → `lock_not_available`, as PL/pgSQL writes it. */
function conditionName(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

async function codeOf(name: string): Promise<string | undefined> {
  const error = await db
    .query(`do $$ begin raise ${conditionName(name)}; end $$`)
    .catch((refusal: unknown) => refusal)
  return sqlState(error)
}

it('conditions have the names of Postgres', async () => {
  const names = Object.entries(SQL_STATE).filter(([, code]) => !code.startsWith('LQ'))
  for (const [name, code] of names) expect([name, await codeOf(name)]).toEqual([name, code])
})

it('classes have the names of Postgres', async () => {
  for (const [name, code] of Object.entries(SQL_STATE_CLASS))
    expect([name, await codeOf(name)]).toEqual([name, `${code}000`])
})
