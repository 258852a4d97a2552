import { expect, it } from 'vitest'
import { ListenqlError } from '../../src/lib/errors.js'
import type { ResultListener } from '../../src/live/live-contract.js'
import type { LivePlan } from '../../src/live/live-plan.js'
import { liveSource } from '../../src/live/live-source.js'
import { customers } from './shop.js'

/** A source whose query has no result yet. */
function createSource() {
  let listener: ResultListener | undefined
  const source = liveSource({
    queries: {
      open(_request, own) {
        listener = own
        return { holdsAt: undefined, close: () => undefined }
      },
    },
    live: { plan: { root: { table: customers } } } as unknown as LivePlan,
    as: {} as Parameters<typeof liveSource>[0]['as'],
    every: 0,
  })
  const follower = { event: () => undefined, end: () => undefined }
  return { source, follower, end: (error: ListenqlError) => listener?.end(error) }
}

it('a wait for the first result ends when the source is closed, with its end, or with the signal', async () => {
  const closed = createSource()
  const stop = await closed.source.open(closed.follower)
  const wait = closed.source.live()
  stop()
  await wait

  const ended = createSource()
  await ended.source.open(ended.follower)
  const failed = new ListenqlError('DATABASE_FAILED', 'no')
  const waiting = ended.source.live()
  ended.end(failed)
  await expect(waiting).rejects.toBe(failed)

  const left = createSource()
  await left.source.open(left.follower)
  await expect(left.source.live(AbortSignal.abort(failed))).rejects.toBe(failed)
})
