import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createScheduler } from '../../../src/delivery/scheduler.js'
import { catchUp } from '../../../src/delivery/start/catch-up.js'
import { createFrame, FrameStream } from '../../../src/delivery/stream.js'
import { Subscriber } from '../../../src/delivery/subscriber.js'
import { comparePositions, type Position } from '../../../src/log/position.js'

/** Returns event number `i` of the log, in batches of three. */
const at = (i: number): Position => ({
  n: Math.floor(i / 3) + 1,
  token: 7,
  ord: (i % 3) + 1,
  statement: 1,
  id: i,
})

const scheduler = createScheduler(error => {
  throw error
})
/** Pages are rendered in a turn of their own. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
}

type Step = 'commit' | 'dispatch' | 'notify' | 'take' | 'turn'

it('a subscriber that resumes gets each event once and in order, in every interleaving', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: -1, max: 11 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.constantFrom<Step>('commit', 'dispatch', 'notify', 'take', 'turn'), { maxLength: 80 }),
      async (committedAtFirst, seenByClient, pageSize, steps) => {
        let committed = committedAtFirst // Committed to the ledger, for `read`.
        let dispatched = committedAtFirst // Delivered by the live reader, at most up to `committed`.
        const after = Math.min(seenByClient, committedAtFirst - 1)
        const own = new FrameStream()
        const group = new FrameStream()
        const subscriber = new Subscriber('', own)
        const received: string[] = []
        const abort = new AbortController()
        const done = catchUp<number>({
          replay: () => ({
            position: () => at(dispatched - 1),
            start: () => at(dispatched - 1),
            async read(position) {
              await Promise.resolve()
              const events: number[] = []
              for (let i = 0; i < committed && events.length < pageSize; i++) {
                if (comparePositions(at(i), position) > 0) events.push(i)
              }
              const last = events.at(-1)
              return {
                events,
                position: last === undefined ? position : at(last),
              }
            },
            seam: () => [],
          }),
          after: at(after),
          own,
          group: () => group,
          subscriber,
          scheduler,
          push: event => own.push(createFrame(String(event), undefined, at(event))),
          notify: () => undefined,
          signal: abort.signal,
        })
        const take = () => {
          const frame = subscriber.take()
          if (frame) received.push(frame.text)
          return frame !== undefined
        }
        for (const step of steps) {
          if (step === 'commit') committed++
          else if (step === 'dispatch' && dispatched < committed) {
            group.push(createFrame(String(dispatched), undefined, at(dispatched)))
            dispatched++
          } else if (step === 'notify') group.push(createFrame('plain'))
          else if (step === 'take') take()
          else await turn()
        }
        // At the end the live reader has delivered every event, and the subscriber has read everything.
        for (; dispatched < committed; dispatched++)
          group.push(createFrame(String(dispatched), undefined, at(dispatched)))
        let joined = false
        void done.then(() => {
          joined = true
        })
        while (!joined) {
          while (take());
          await new Promise(resolve => setImmediate(resolve))
        }
        while (take());
        const logged = received.filter(text => text !== 'plain').map(Number)
        expect(logged).toEqual(Array.from({ length: committed - after - 1 }, (_, i) => after + 1 + i))
        expect(subscriber.waiting).toBe(0)
      },
    ),
    { numRuns: 500 },
  )
})

it('a page is read only after the previous page has been taken', async () => {
  const own = new FrameStream()
  const subscriber = new Subscriber('', own)
  let reads = 0
  const abort = new AbortController()
  const done = catchUp<number>({
    replay: () => ({
      position: () => at(99),
      start: () => at(99),
      read: async ({ id }) => {
        reads++
        const events = id < 99 ? [id + 1, id + 2].filter(i => i <= 99) : []
        return { events, position: at(events.at(-1) ?? id) }
      },
      seam: () => [],
    }),
    after: at(0),
    own,
    group: () => new FrameStream(),
    subscriber,
    scheduler,
    push: event => own.push(createFrame(String(event))),
    notify: () => undefined,
    signal: abort.signal,
  })
  await turn()
  expect(reads).toBe(1)
  subscriber.take()
  await turn()
  expect(reads).toBe(1)
  subscriber.take()
  await turn()
  expect(reads).toBe(2)
  let joined = false
  void done.then(() => {
    joined = true
  })
  while (!joined) {
    while (subscriber.take());
    await new Promise(resolve => setImmediate(resolve))
  }
  expect(reads).toBe(50) // 99 events, two to a page
})
