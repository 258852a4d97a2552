import { afterAll, describe, expect, it } from 'vitest'
import { viewerKey } from '../../../src/auth/viewer.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { createObserved } from '../../support/observed.js'
import { createSecuredRole } from '../../support/secured-role.js'
import { viewerOf } from '../../support/viewers.js'

const observed = createObserved()
const secured = await createSecuredRole({ observe: observed.observe })
const { roles, access, admin, me, withPolicies } = secured
afterAll(() => secured.close())

describe('between viewers', () => {
  it('an error affects only the viewer that causes it', async () => {
    const table = await withPolicies(
      'id int primary key',
      'alone',
      `create policy p on alone using (id = (current_setting('request.jwt.claims')::json ->> 'n')::int)`,
    )
    const images = await secured.written(table, 'insert into alone values (1), (2)')
    const viewers = ['1', 'x', '2', '', 'y', 'z', '1.5', '2'].map((n, i) => me({ n, i }))
    const taker = await roles.add('not_taken')
    await admin(`grant select on alone to ${taker}; revoke ${taker} from ${secured.watched.server.name}`)
    const all = [...viewers, viewerOf(taker, { n: '1' }), viewerOf('no such role', { n: '1' })]
    for (let round = 0; round < 2; round++) {
      const verdicts = await access.sees(table, all, images)
      const unusable = 'FORBIDDEN: the role of this token may not be used here'
      const failed = 'FORBIDDEN: the row-level security of table alone failed for this viewer'
      expect(
        all.map(viewer => {
          const verdict = verdicts.get(viewerKey(viewer, true))
          return verdict instanceof ListenqlError ? `${verdict.code}: ${verdict.message}` : verdict
        }),
      ).toEqual([
        [true, false], failed, [false, true], failed, failed, failed, failed, [false, true],
        unusable, unusable,
      ]) // biome-ignore format: a list
    }
    await observed.until('policy.failed', {
      table: 'alone',
      message: 'invalid input syntax for type integer: "x"',
    })
  })

  it('a timeout affects only the viewer that causes it', async () => {
    const hasty = secured.start({ policyTimeout: 300 })
    const table = await withPolicies(
      'id int primary key',
      'slow',
      `create policy p on slow using (case when current_setting('request.jwt.claims')::json ->> 'sub' = 'slow' then pg_sleep(20) is null else true end)`,
    )
    const images = await secured.written(table, 'insert into slow values (1), (2)')
    const viewers = ['a', 'slow', 'b'].map(sub => me({ sub }))
    const verdicts = await hasty.sees(table, viewers, images)
    const slow = verdicts.get(viewerKey(me({ sub: 'slow' }), true))
    expect(slow).toMatchObject({ code: 'QUERY_TIMEOUT' })
    expect(verdicts.get(viewerKey(me({ sub: 'b' }), true))).toEqual([true, true])
    await hasty.close()
  })

  it('a setting that is made for one viewer does not reach another viewer', async () => {
    const table = await withPolicies('id int primary key, owner text', 'leaky', '')
    await admin(`create or replace function remembered_sub() returns text language plpgsql set search_path = pg_catalog as $$
      begin
        if coalesce(current_setting('app.remembered_sub', true), '') = '' then
          perform set_config('app.remembered_sub', current_setting('request.jwt.claims')::json ->> 'sub', false);
        end if;
        return current_setting('app.remembered_sub');
      end $$; create policy p on leaky using (owner = public.remembered_sub())`)
    const images = await secured.written(table, `insert into leaky values (1, 'a'), (2, 'b'), (3, 'c')`)
    const viewers = ['a', 'b', 'c', 'a', 'd'].map((sub, i) => me({ sub, i }))
    for (let round = 0; round < 3; round++) {
      const verdicts = await access.sees(table, viewers, images)
      expect(viewers.map(viewer => verdicts.get(viewerKey(viewer, true)))).toEqual([
        [true, false, false], [false, true, false], [false, false, true], [true, false, false], [false, false, false],
      ]) // biome-ignore format: a list
    }
  })
})
