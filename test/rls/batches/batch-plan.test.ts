import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Viewer, viewerKey } from '../../../src/auth/viewer.js'
import { EVERYTHING, type RowImage } from '../../../src/filters/index.js'
import { batchViewersOf, planBatch, visibilityOf } from '../../../src/rls/batches/batch-plan.js'
import type { RowCondition } from '../../../src/rls/conditions/viewer-condition.js'
import type { PolicyPlan, PolicyQuery } from '../../../src/rls/policy-sql.js'
import { viewerOf } from '../../support/viewers.js'
import { column, image, table } from '../../support/watched-tables.js'

const PEOPLE = table('people', [column('id', 'int4'), column('owner', 'text')])
const IMAGES = [image(PEOPLE, '{"id":1,"owner":"ann"}'), image(PEOPLE, '{"id":2,"owner":null}')]

const asked = (columns: PolicyQuery['columns'], mayReadToken = false) =>
  ({ kind: 'asked', columns, mayReadToken }) as PolicyQuery

/** Plans a batch of these viewers, whose roles have these plans. */
function planOf(viewers: readonly Viewer[], plans: Readonly<Record<string, PolicyPlan>>) {
  const batch = {
    table: PEOPLE,
    viewers: batchViewersOf(viewers),
    images: IMAGES,
    budget: 50,
    toPrepare: 200,
  }
  const rights = new Map(Object.keys(plans).map(role => [role, { text: role }]))
  return planBatch(batch, rights, (_table, role) => plans[role as string] as PolicyPlan)
}

describe('the viewers of a batch', () => {
  it('are each there once, and those of one role are adjacent', () => {
    const anyViewer = fc
      .record({ role: fc.constantFrom('a', 'b', 'c'), sub: fc.constantFrom('x', 'y'), iat: fc.nat(2) })
      .map(({ role, ...claims }) => viewerOf(role, claims))
    fc.assert(
      fc.property(fc.array(anyViewer), viewers => {
        const found = batchViewersOf(viewers)
        const keys = found.map(({ key }) => key)
        expect(new Set(keys)).toEqual(new Set(viewers.map(viewer => viewerKey(viewer, true))))
        expect(new Set(keys).size).toBe(keys.length)
        const changes = found.filter(({ role }, i) => role !== found[i - 1]?.role).length
        expect(changes).toBe(new Set(found.map(({ role }) => role)).size)
      }),
    )
  })

  it('need a role', () => {
    expect(() => batchViewersOf([{ ...viewerOf('a'), role: undefined }])).toThrow(TypeError)
  })
})

describe('a batch asks', () => {
  it('only for viewers whose rows policies decide', () => {
    const [all, none, asks] = [viewerOf('all'), viewerOf('none'), viewerOf('asks')]
    const plan = planOf([all, none, asks], {
      all: { kind: 'all' },
      none: { kind: 'none' },
      asks: asked([column('id', 'int4')]),
    })
    expect(plan.settled.get(viewerKey(all, true))).toEqual([true, true])
    expect(plan.settled.get(viewerKey(none, true))).toEqual([false, false])
    expect(plan.asked.map(({ viewer }) => viewer.key)).toEqual([viewerKey(asks, true)])
    expect([plan.some.text, plan.whole]).toEqual(['[{"id":1},{"id":2}]', undefined])
  })

  it('only for viewers about whom no condition decides', () => {
    const [ann, odd] = [viewerOf('a', { sub: 'ann' }), viewerOf('a', { sub: 'odd' })]
    const sees = (row: RowImage) => row.get('owner') === 'ann'
    const condition: RowCondition = {
      of: claims => (claims === '{"sub":"ann"}' ? { filter: EVERYTHING, sees } : undefined),
    }
    const plan = planOf([ann, odd], { a: { ...asked([column('owner', 'text')]), condition } })
    expect([...plan.settled]).toEqual([[viewerKey(ann, true), [true, false]]])
    expect(plan.asked.map(({ viewer }) => viewer.key)).toEqual([viewerKey(odd, true)])
  })

  it('with the columns that the policies name, and with whole rows only if a policy uses them', () => {
    const plan = planOf([viewerOf('a'), viewerOf('b')], {
      a: asked([column('owner', 'text')]),
      b: asked(undefined),
    })
    expect(plan.some.text).toBe('[{"owner":"ann"},{"owner":null}]')
    expect(plan.whole?.text).toBe('[{"id":1,"owner":"ann"},{"id":2,"owner":null}]')
    for (const { query } of plan.asked) expect(visibilityOf(plan, query, '01')).toEqual([false, true])
  })

  it('for no viewer that stands for several tokens, if its policies may read what differs between them', () => {
    const plans = { a: asked([column('id', 'int4')], true) }
    const shortened = viewerOf('a', { sub: 'ann', iat: 1 })
    expect([...planOf([shortened], plans).settled.values()]).toMatchObject([{ code: 'SCHEMA_CHANGED' }])
    expect(planOf([{ ...shortened, seesToken: true }], plans).asked.length).toBe(1)
    expect(planOf([viewerOf('a', { sub: 'ann' })], plans).asked.length).toBe(1)
  })
})
