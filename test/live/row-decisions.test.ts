import { expect, it } from 'vitest'
import { type Viewer, viewerKey } from '../../src/auth/viewer.js'
import { abortable } from '../../src/lib/abort.js'
import { createDeferred } from '../../src/lib/deferred.js'
import { ListenqlError } from '../../src/lib/errors.js'
import { type ChangedRow, createRowDecisions } from '../../src/live/row-decisions.js'
import type { CheckVisibility, Visibility } from '../../src/rls/visibility.js'
import { viewerOf } from '../support/viewers.js'
import { column, table } from '../support/watched-tables.js'
import { images as imagesOf } from './shop.js'

const orders = table('orders', [column('id', 'int4'), column('owner')])
const changeOf = (row: object | null, old: object | null = null): ChangedRow => ({
  table: orders,
  images: imagesOf(orders, row, old),
})

/** Viewers see the rows that they own. Each check waits until it is answered. */
function createTested({
  verdictOf,
  patience = 60_000,
}: {
  verdictOf?: (viewer: Viewer) => Visibility | Promise<Visibility> | undefined
  patience?: number
} = {}) {
  const checks: { viewers: string[]; rows: number; answer: () => void }[] = []
  const stop = new AbortController()
  const checkVisibility: CheckVisibility = async (_table, viewers, rows, signal) => {
    const answered = createDeferred()
    const names = viewers.map(({ claims }) => String(claims.sub))
    checks.push({ viewers: names, rows: rows.length, answer: answered.resolve })
    await abortable(answered.promise, signal)
    return new Map(
      viewers.map(viewer => [
        viewerKey(viewer, true),
        verdictOf?.(viewer) ?? rows.map(row => row.get('owner') === viewer.claims.sub),
      ]),
    )
  }
  const decided: string[] = []
  const decisions = createRowDecisions<string, ChangedRow>({
    checkVisibility,
    viewerOf: sub => (sub === 'stale' ? undefined : viewerOf('member', { sub })),
    decided: (asker, _change, isVisible) => decided.push(`${asker} ${isVisible ? 'sees' : 'no'}`),
    signal: stop.signal,
    maxWaiting: 10,
    patience,
  })
  const ask = (change: ChangedRow, ...askers: string[]) => decisions.ask(change, false, askers)
  const answer = async () => {
    await expect.poll(() => checks.length).toBeGreaterThan(0)
    checks.shift()?.answer()
  }
  return { decisions, ask, answer, checks, decided, stop }
}

it('asks once for all changes of a turn, and once more for those that come meanwhile', async () => {
  const { ask, answer, checks, decided } = createTested()
  const change = changeOf({ id: 1, owner: 'a' })
  ask(change, 'a', 'b')
  ask(changeOf({ id: 2, owner: 'c' }, { id: 2, owner: 'b' }), 'a', 'b', 'c')
  ask(change, 'c') // another query, of the same change
  await expect.poll(() => checks).toMatchObject([{ viewers: ['a', 'b', 'c'], rows: 3 }])
  ask(changeOf({ id: 3, owner: 'c' }), 'c')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees', 'b no', 'c no', 'a no', 'b sees', 'c sees'])
  await answer()
  await expect.poll(() => decided.slice(6)).toEqual(['c sees'])
  expect(checks).toEqual([])
})

it('asks about one image where the policies decide alike about both', async () => {
  const { decisions, checks } = createTested()
  const change = changeOf({ id: 1, owner: 'a' }, { id: 1, owner: 'a' })
  const removed = changeOf(null, { id: 2, owner: 'a' })
  for (const one of [change, removed]) decisions.ask(one, true, ['a'])
  await expect.poll(() => checks).toMatchObject([{ rows: 2 }])
  checks.shift()?.answer()
  decisions.ask(change, true, ['a'])
  decisions.ask(change, false, ['b']) // under the policies of another role
  await expect.poll(() => checks).toMatchObject([{ rows: 2 }])
})

it('says yes where it cannot be known, or need not be: after an error, and if too many changes wait', async () => {
  const { ask, answer, checks, decided } = createTested({
    verdictOf: ({ claims }) => (claims.sub === 'a' ? new ListenqlError('FORBIDDEN', 'no') : undefined),
  })
  ask(changeOf({ id: 1, owner: 'z' }), 'a', 'b', 'stale')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees', 'b no', 'stale sees'])
  ask(changeOf({ id: 1, owner: 'z' }), 'a', 'b') // the viewer with the error is not asked again
  await expect.poll(() => checks).toMatchObject([{ viewers: ['b'] }])
  await answer()
  await expect.poll(() => decided.slice(3)).toEqual(['a sees', 'b no'])
  for (let i = 0; i < 10; i++) ask(changeOf({ id: i, owner: 'z' }), 'b')
  expect(decided.length).toBe(5)
  ask(changeOf({ id: 11, owner: 'z' }), 'b')
  expect(decided.slice(5)).toEqual(['b sees'])
})

it('says yes if there is no answer in time, and goes on', async () => {
  const { ask, answer, checks, decided } = createTested({ patience: 1000 })
  ask(changeOf({ id: 1, owner: 'z' }), 'a')
  await expect.poll(() => decided).toEqual(['a sees'])
  checks.length = 0
  ask(changeOf({ id: 2, owner: 'z' }), 'a')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees', 'a no'])
})

it('a viewer whose policies are slow delays no other one, and is not asked again meanwhile', async () => {
  const slow = createDeferred()
  const { ask, answer, checks, decided } = createTested({
    verdictOf: ({ claims }) => (claims.sub === 'slow' ? slow.promise.then(() => [false]) : undefined),
  })
  ask(changeOf({ id: 1, owner: 'a' }), 'slow', 'a')
  await answer()
  await expect.poll(() => decided).toEqual(['a sees'])
  ask(changeOf({ id: 2, owner: 'a' }), 'slow', 'a')
  await expect.poll(() => checks).toMatchObject([{ viewers: ['a'] }])
  await answer()
  await expect.poll(() => decided.slice(1)).toEqual(['slow sees', 'a sees'])
  slow.resolve()
  await expect.poll(() => decided.slice(3)).toEqual(['slow no'])
  ask(changeOf({ id: 3, owner: 'a' }), 'slow')
  await expect.poll(() => checks).toMatchObject([{ viewers: ['slow'] }])
})

it('decides nothing any more once its signal aborts', async () => {
  const { ask, answer, checks, decided, stop } = createTested()
  ask(changeOf({ id: 1, owner: 'a' }), 'a')
  await expect.poll(() => checks.length).toBe(1)
  stop.abort()
  await answer()
  await new Promise(resolve => setImmediate(resolve))
  expect(decided).toEqual([])
})
