import { afterAll, describe, expect, it } from 'vitest'
import { viewerKey } from '../../../src/auth/viewer.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { createObserved } from '../../support/observed.js'
import { createSecuredRole } from '../../support/secured-role.js'
import { waitUntil } from '../../support/wait.js'

const observed = createObserved()
const secured = await createSecuredRole({ observe: observed.observe })
const { role, access, admin, me, withPolicies } = secured
afterAll(() => secured.close())

describe('between viewers', () => {
  it('only a lock makes all viewers wait', async () => {
    await admin(
      `create table if not exists members (member text); truncate members; insert into members values ('a'); grant select on members to "${role}"`,
    )
    const table = await withPolicies(
      'id int primary key',
      'locked',
      `create policy p on locked using (exists (select from members where member = current_setting('request.jwt.claims')::json ->> 'sub'))`,
    )
    const images = await secured.written(table, 'insert into locked values (1)')
    const { log } = secured.watched
    const owner = await log.connect({ connectionString: log.database.adminUrl })
    const hasty = secured.start({ policyTimeout: 200 })
    await hasty.sees(table, [me({ sub: 'a' })], images)
    await owner.query('begin; lock members')
    let isDone = false
    const asked = hasty.sees(table, [me({ sub: 'a' }), me({ sub: 'b' })], images).finally(() => {
      isDone = true
    })
    const blocked = async (after: unknown) =>
      (
        await admin(`select xact_start::text as began from pg_stat_activity where datname = current_database()
        and application_name = 'listenql policies' and wait_event_type = 'Lock'`)
      )
        .map(({ began }) => began)
        .find(began => began !== after)
    const first = await waitUntil(() => blocked(undefined), 'a policy to wait')
    await waitUntil(() => blocked(first), 'a policy to wait again')
    expect(isDone).toBe(false)
    await owner.query('rollback')
    expect([...(await asked).values()]).toEqual([[true], [false]])
    await hasty.close()
  })
})

describe('a table that policies read', () => {
  /** To an older snapshot it is empty: https://www.postgresql.org/docs/current/mvcc-caveats.html */
  for (const isPrepared of [false, true])
    it(`does not look empty where it was truncated after the snapshot, ${isPrepared ? 'after' : 'before'} the first check`, async () => {
      await admin(`create table if not exists banned (name text); truncate banned; insert into banned values ('a');
        grant select on banned to "${role}"`)
      const table = await withPolicies(
        'id int primary key',
        `barred_${isPrepared}`,
        `create policy p on barred_${isPrepared} using (not exists (select from banned where name = current_setting('request.jwt.claims')::json ->> 'sub'))`,
      )
      const images = await secured.written(table, `insert into barred_${isPrepared} values (1)`)
      const { log } = secured.watched
      const owner = await log.connect({ connectionString: log.database.adminUrl })
      const patient = secured.start({ policyTimeout: 20_000 })
      const viewers = ['a', 'b'].map(sub => me({ sub }))
      if (isPrepared) await patient.sees(table, viewers, images)
      await owner.query(`begin; truncate banned; insert into banned values ('a')`)
      const asked = patient.sees(table, viewers, images)
      await waitUntil(async () => {
        const waiting = await admin(`select from pg_stat_activity where datname = current_database()
          and application_name = 'listenql policies' and wait_event_type = 'Lock'`)
        return waiting.length > 0
      }, 'a policy to wait for a lock')
      await owner.query('commit')
      expect([...(await asked).values()]).toEqual([[false], [true]])
      await patient.close()
    })
})

describe('the connection', () => {
  it('is replaced whenever it is lost', async () => {
    const table = await withPolicies(
      'id int primary key',
      'lossy',
      'create policy p on lossy using (id > 1 and pg_sleep(0.005) is not null)',
    )
    const images = await secured.written(table, 'insert into lossy values (1), (2)')
    const viewers = Array.from({ length: 120 }, (_, i) => me({ i }))
    await access.sees(table, viewers.slice(0, 1), images)
    const asked = access.sees(table, viewers, images)
    for (let killed = 0; killed < 3; ) {
      killed += (
        await admin(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
        and application_name = 'listenql policies' and state = 'active'`)
      ).length
    }
    const verdicts = await asked
    expect(viewers.map(viewer => verdicts.get(viewerKey(viewer, true)))).toEqual(
      viewers.map(() => [false, true]),
    )
    await observed.until('policies.lost')
  })

  it('keeps no session state if the next transaction may run in another session', async () => {
    const table = await withPolicies(
      'id int primary key',
      'pooled',
      `create policy p on pooled using (id > (current_setting('request.jwt.claims')::json ->> 'n')::int)`,
    )
    const images = await secured.written(table, 'insert into pooled values (1), (2)')
    const careful = secured.start({ keepsPrepared: false, connections: 1 })
    for (let round = 0; round < 2; round++) {
      const verdicts = await careful.sees(table, [me({ n: 1 }), me({ n: 'x' }), me({ n: 0 })], images)
      expect([...verdicts.values()].map(verdict => (verdict instanceof ListenqlError ? verdict.code : verdict))).toEqual([
        [false, true], 'FORBIDDEN', [true, true],
      ]) // biome-ignore format: a list
      const [last] = await admin(
        `select query from pg_stat_activity where datname = current_database() and application_name = 'listenql policies' order by query_start desc`,
      )
      expect(last?.query).toMatch(/deallocate/)
    }
    await careful.close()
  })
})
