import { expect, it } from 'vitest'
import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { createRowDecisions } from '../../src/live/row-decisions.js'
import type { CheckVisibility, Visibility } from '../../src/rls/visibility.js'
import { viewerOf } from '../support/viewers.js'
import { column, table } from '../support/watched-tables.js'
import { images as imagesOf } from './shop.js'

const orders = table('orders', [column('id', 'int4'), column('owner')])
const images = (row: object | null, old: object | null = null) => imagesOf(orders, row, old)

/** Viewers see the rows that they own. Each check waits until it is answered. */
function createTested(verdictOf?: (viewer: Viewer) => Visibility | Promise<Visibility> | undefined) {
  const checks: { viewers: string[]; rows: number; answer: () => void }[] = []
  const stop = new AbortController()
  const checkVisibility: CheckVisibility = async (_table, viewers, rows) => {
    const answered = createDeferred()
    const names = viewers.map(({ claims }) => String(claims.sub))
    checks.push({ viewers: names, rows: rows.length, answer: answered.resolve })
    await answered.promise
    return new Map(
      viewers.map(viewer => [
        viewerKey(viewer, true),
        verdictOf?.(viewer) ?? rows.map(row => row.get('owner') === viewer.claims.sub),
      ]),
    )
  }
  const decisions = createRowDecisions<string>({
    checkVisibility,
    viewerOf: sub => viewerOf('member', { sub }),
    signal: stop.signal,
    maxWaiting: 10,
  })
  const decided: string[] = []
  const ask = (change: ReturnType<typeof images>, ...askers: string[]) =>
    decisions.ask(orders, change, false, askers, (asker, isVisible) =>
      decided.push(`${asker} ${isVisible ? 'sees' : 'no'}`),
    )
  const answer = async () => {
    await expect.poll(() => checks.length).toBeGreaterThan(0)
    checks.shift()?.answer()
  }
  return { decisions, ask, answer, checks, decided, stop }
}

it('asks once for all changes of a turn, and once more for those that come meanwhile', async () => {
  const { ask, answer, checks, decided } = createTested()
  const change = images({ id: 1, owner: 'a' })
  ask(change, 'a', 'b')
  ask(images({ id: 2, owner: 'c' }, { id: 2, owner: 'b' }), 'a', 'b', 'c')
  ask(change, 'c') // another query, of the same change
  await expect.poll(() => checks).toMatchObject([{ viewers: ['a', 'b', 'c'], rows: 3 }])
  ask(images({ id: 3, owner: 'c' }), 'c')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees', 'b no', 'c no', 'a no', 'b sees', 'c sees'])
  await answer()
  await expect.poll(() => decided.slice(6)).toEqual(['c sees'])
  expect(checks).toEqual([])
})

it('asks about one image where the policies decide alike about both', async () => {
  const { decisions, checks } = createTested()
  const change = images({ id: 1, owner: 'a' }, { id: 1, owner: 'a' })
  const removed = images(null, { id: 2, owner: 'a' })
  for (const one of [change, removed]) decisions.ask(orders, one, true, ['a'], () => undefined)
  await expect.poll(() => checks).toMatchObject([{ rows: 2 }])
  checks.shift()?.answer()
  decisions.ask(orders, change, true, ['a'], () => undefined)
  decisions.ask(orders, change, false, ['b'], () => undefined) // under the policies of another role
  await expect.poll(() => checks).toMatchObject([{ rows: 2 }])
})

it('says yes where it cannot be known: after an error, and if too many changes wait', async () => {
  const { ask, answer, decided } = createTested(({ claims }) =>
    claims.sub === 'a' ? new ListenqlError('FORBIDDEN', 'no') : undefined,
  )
  ask(images({ id: 1, owner: 'z' }), 'a', 'b')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees', 'b no'])
  for (let i = 0; i < 5; i++) ask(images({ id: i, owner: 'z' }), 'b', 'c')
  expect(decided.length).toBe(2)
  ask(images({ id: 1, owner: 'z' }), 'b')
  expect(decided.slice(2)).toEqual(['b sees'])
})

it('a viewer whose policies are slow delays no other one', async () => {
  const slow = createDeferred()
  const { ask, answer, decided } = createTested(({ claims }) =>
    claims.sub === 'slow' ? slow.promise.then(() => [false]) : undefined,
  )
  ask(images({ id: 1, owner: 'a' }), 'slow', 'a')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees'])
  slow.resolve()
  await expect.poll(() => decided).toEqual(['a sees', 'slow no'])
})

it('decides nothing any more once its signal aborts', async () => {
  const { ask, answer, checks, decided, stop } = createTested()
  ask(images({ id: 1, owner: 'a' }), 'a')
  await expect.poll(() => checks.length).toBe(1)
  stop.abort()
  await answer()
  await new Promise(resolve => setImmediate(resolve))
  expect(decided).toEqual([])
})
