import type pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createPrepared } from '../../src/postgres/statements/prepared.js'
import { beginSql, LockedOut } from '../../src/rls/policy-transaction.js'
import { RIGHTS } from '../../src/rls/privileges.js'
import { readRights } from '../../src/rls/role-rights.js'
import { createSecured, type Secured } from '../support/secured.js'

let secured: Secured

beforeAll(async () => {
  secured = await createSecured()
})
afterAll(() => secured?.close())

it('a lock on a table that a policy names ends the transaction, and leaves no statement to the next user of a pooled session', async () => {
  const { log, client: session } = secured.watched
  const client = session as pg.PoolClient
  const role = await secured.roles.add('viewer')
  const table = await secured.table('notes', 'id int primary key', [role])
  await secured.admin(
    `create table members (member text); create policy p on notes using (exists (select from members))`,
  )
  const owner = await log.connect({ connectionString: log.database.adminUrl })
  const prepared = createPrepared(false)
  const read = async () => {
    await client.query(beginSql(100))
    return readRights(client, table, [role], new Map(), prepared)
  }
  await owner.query('begin; lock members')
  await expect(read()).rejects.toThrow(LockedOut)
  expect((await client.query('select name from pg_prepared_statements')).rows).toEqual([])
  expect(prepared.has(client, RIGHTS, role)).toBe(false)
  await owner.query('rollback')
  expect((await read()).get(role)).toMatchObject({ text: expect.stringContaining('members') })
  await client.query('rollback; deallocate all')
})
