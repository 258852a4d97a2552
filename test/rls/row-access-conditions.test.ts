import { afterAll, describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { claimsText } from '../../src/rls/become.js'
import type { RowAccess } from '../../src/rls/row-access.js'
import { createSecuredRole } from '../support/secured-role.js'

const secured = await createSecuredRole()
const { role, admin, me, withPolicies } = secured
afterAll(() => secured.close())

const SUB = `(current_setting('request.jwt.claims')::json ->> 'sub')`

/** The ids that conditions show to each of these; undefined: the database has to be asked. */
async function shown(access: RowAccess, table: WatchedTable, subs: readonly string[]) {
  const images = await secured.written(
    table,
    `delete from ${table.name}; insert into ${table.name} values (1, 'ann'), (2, 'bob')`,
  )
  const condition = (await access.readConditions(table, [role]))?.get(role)
  return subs.map(sub => {
    const decides = condition?.of(claimsText(me({ sub })))
    return decides && images.filter(image => decides.sees(image)).map(image => image.get('id'))
  })
}

describe('the conditions of a role', () => {
  it.each([true, false])('are as new as the call, with prepared statements: %s', async keepsPrepared => {
    const access = secured.start({ keepsPrepared })
    const table = await withPolicies(
      'id int primary key, owner text',
      `noted_${keepsPrepared}`,
      `create policy p on noted_${keepsPrepared} using (owner = ${SUB})`,
    )
    const see = () => shown(access, table, ['ann', 'bob'])
    const alter = (using: string) => admin(`alter policy p on ${table.name} using (${using})`)
    expect(access.readConditions(table, [role])).toBeUndefined() // nothing is known of the role
    await access.probe(table, me())
    for (let round = 0; round < 3; round++) expect(await see()).toEqual([[1], [2]])
    await alter(`owner = ${SUB} or ${SUB} = 'bob'`)
    for (let round = 0; round < 2; round++) expect(await see()).toEqual([[1], [1, 2]])
    await alter(`lower(owner) = ${SUB}`)
    for (let round = 0; round < 2; round++) expect(await see()).toEqual([undefined, undefined])
    expect(access.readConditions(table, [role])).toBeUndefined()
    await alter('true')
    await access.probe(table, me())
    expect(await see()).toEqual([[1, 2], [1, 2]]) // biome-ignore format: short
    await access.close()
  })

  it('are left to the database while they cannot be read', async () => {
    const access = secured.start({ policyTimeout: 100 })
    const table = await withPolicies(
      'id int primary key, owner text',
      'locked',
      `create policy p on locked using (owner = ${SUB})`,
    )
    await access.probe(table, me())
    expect((await access.readConditions(table, [role]))?.size).toBe(1)
    const { log } = secured.watched
    const owner = await log.connect({ connectionString: log.database.adminUrl })
    await owner.query('begin; lock pg_policy in access exclusive mode')
    expect(await access.readConditions(table, [role])).toEqual(new Map())
    await owner.query('rollback')
    expect((await access.readConditions(table, [role]))?.size).toBe(1)
    await admin(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'listenql policies'`,
    )
    await expect.poll(async () => (await access.readConditions(table, [role]))?.size).toBe(1)
    await access.close()
    await expect(access.readConditions(table, [role])).rejects.toThrow()
  })

  it('are not for policies that have read the table itself, or that another role has', async () => {
    const other = await secured.roles.add('other')
    const access = secured.start()
    const table = await withPolicies(
      'id int primary key, owner text',
      'mixed',
      `create policy p on mixed to "${role}" using (owner = ${SUB}); create policy q on mixed to "${other}" using (lower(owner) = ${SUB})`,
    )
    await admin(`grant select on mixed to "${other}"`)
    await access.probe(table, me())
    await access.probe(table, { ...me(), role: other })
    expect([...((await access.readConditions(table, [role, other]))?.keys() ?? [])]).toEqual([role])
    expect(access.readConditions(table, [other])).toBeUndefined()
    await admin(`create function mixed_count() returns bigint language sql stable security definer as 'select count(*) from mixed';
      create policy s on mixed using (mixed_count() >= 0)`)
    await access.probe(table, me())
    expect(access.readsItself(table, me())).toBe(true)
    await admin('drop policy s on mixed')
    await access.probe(table, me())
    expect(access.readConditions(table, [role])).toBeUndefined()
    await access.close()
  })
})
