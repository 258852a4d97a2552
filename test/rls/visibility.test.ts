import { describe, expect, it } from 'vitest'
import { viewerKey } from '../../src/auth/viewer.js'
import type { Images } from '../../src/filters/images.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { LogEvent } from '../../src/log/log-event.js'
import { type CheckVisibility, createBatchedView, type ReadEvent, viewsOf } from '../../src/rls/visibility.js'
import { readRow } from '../support/small-filters.js'
import { viewerOf } from '../support/viewers.js'
import { column, table } from '../support/watched-tables.js'

const PEOPLE = table('people', [column('a', 'int4')])
const { signal } = new AbortController()
const ann = viewerOf('viewer', { sub: 'ann' })
const bob = viewerOf('viewer', { sub: 'bob' })
const [one, two] = [readRow('{"a":1}'), readRow('{"a":2}')]
const NOTHING: Images = { row: null, old: null }

const eventsOf = (...all: Images[]): ReadEvent[] => all.map(images => ({ event: {} as LogEvent, images }))

/**
 * Creates a check in which a viewer sees an image if `isSeen` holds for the number in it, and the list of requests to the
 * check.
 */
function createCheck(isSeen: (sub: unknown, a: number) => boolean) {
  const asked: string[] = []
  const check: CheckVisibility = async (_table, viewers, images) => {
    const numbers = images.map(image => Number(image.get('a')))
    asked.push(`${viewers.map(({ claims }) => claims.sub)}: ${numbers}`)
    return new Map(
      viewers.map(viewer => [viewerKey(viewer, true), numbers.map(a => isSeen(viewer.claims.sub, a))]),
    )
  }
  return { check, asked }
}

describe('the view that a viewer has of events', () => {
  it('contains each image that the policies let pass, checks old and new images, and keeps the order of the events', async () => {
    const { check, asked } = createCheck((sub, a) => (sub === 'ann') === (a === 1))
    const events = eventsOf({ row: one, old: two }, { row: null, old: two }, NOTHING, { row: one, old: null })
    const views = await viewsOf(check, PEOPLE, [ann, bob], events, signal)
    expect(asked).toEqual(['ann,bob: 1,2,2,1'])
    expect(views.get(viewerKey(ann, true))).toEqual([
      { row: one, old: null },
      NOTHING,
      NOTHING,
      { row: one, old: null },
    ])
    expect(views.get(viewerKey(bob, true))).toEqual([
      { row: null, old: two },
      { row: null, old: two },
      NOTHING,
      NOTHING,
    ])
  })

  it('contains no image without an answer', async () => {
    const check: CheckVisibility = async () => new Map([[viewerKey(ann, true), []]])
    const views = await viewsOf(check, PEOPLE, [ann], eventsOf({ row: one, old: two }), signal)
    expect(views.get(viewerKey(ann, true))).toEqual([NOTHING])
  })

  it('is an error or a promise if the check answers with one; a promise that is not awaited may reject', async () => {
    const error = new ListenqlError('DATABASE_FAILED', 'a policy failed')
    const check: CheckVisibility = async () =>
      new Map<string, ListenqlError | Promise<readonly boolean[]>>([
        [viewerKey(ann, true), error],
        [viewerKey(bob, true), Promise.resolve([true])],
        ['another', Promise.reject(error)],
      ])
    const views = await viewsOf(check, PEOPLE, [ann, bob], eventsOf({ row: one, old: null }), signal)
    expect(views.get(viewerKey(ann, true))).toBe(error)
    expect(await views.get(viewerKey(bob, true))).toEqual([{ row: one, old: null }])
  })
})

describe('viewers that resume one by one', () => {
  it('share one check if they ask about the same events at the same moment', async () => {
    const { check, asked } = createCheck((sub, a) => sub === 'ann' && a === 1)
    const see = createBatchedView(check, signal)
    const page = eventsOf({ row: one, old: null })
    const other = eventsOf({ row: two, old: null })
    const seen = await Promise.all([see(PEOPLE, ann, page), see(PEOPLE, bob, page), see(PEOPLE, ann, other)])
    expect(seen).toEqual([[{ row: one, old: null }], [NOTHING], [NOTHING]])
    expect(asked).toEqual(['ann,bob: 1', 'ann: 2'])
  })

  it('are checked again later, because rights may have changed', async () => {
    const { check, asked } = createCheck(() => true)
    const see = createBatchedView(check, signal)
    const page = eventsOf({ row: one, old: null })
    await see(PEOPLE, ann, page)
    await see(PEOPLE, ann, page)
    expect(asked.length).toBe(2)
  })

  it('each get their own error, also if their answer is missing', async () => {
    const error = new ListenqlError('DATABASE_FAILED', 'a policy failed')
    const check: CheckVisibility = async () => new Map([[viewerKey(ann, true), error]])
    const see = createBatchedView(check, signal)
    const page = eventsOf({ row: one, old: null })
    const [anns, bobs] = await Promise.allSettled([see(PEOPLE, ann, page), see(PEOPLE, bob, page)])
    expect(anns).toMatchObject({ reason: error })
    expect(bobs).toMatchObject({ status: 'rejected' })
  })
})
