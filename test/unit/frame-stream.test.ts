import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createFrame, FrameStream, type Link } from '../../src/delivery/frame-stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import { waitUntil } from '../support/wait.js'

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const action = fc.oneof(
  fc.record({ type: fc.constant('push' as const), text }),
  fc.constant({ type: 'join' as const }),
  fc.record({ type: fc.constant('take' as const), reader: fc.nat(5), count: fc.nat(4) }),
)

it('gives every subscriber exactly the frames after its place, in order, and counts what waits', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), actions => {
      const stream = new FrameStream()
      const readers: { subscriber: Subscriber; expected: string[] }[] = []
      let total = 0
      for (const step of actions) {
        if (step.type === 'push') {
          stream.push(createFrame(step.text))
          total += Buffer.byteLength(step.text)
          for (const { expected } of readers) expected.push(step.text)
        } else if (step.type === 'join') {
          readers.push({ subscriber: new Subscriber('', stream), expected: [] })
        } else {
          const reader = readers[step.reader]
          for (let i = 0; reader && i < step.count; i++)
            expect(reader.subscriber.take()?.text).toBe(reader.expected.shift())
        }
        expect(stream.tail.end).toBe(total)
        for (const { subscriber, expected } of readers) {
          expect(subscriber.hasNext).toBe(expected.length > 0)
          // One frame can always pass: what counts is what waits behind it.
          expect(subscriber.waiting).toBe(Buffer.byteLength(expected.slice(1).join('')))
        }
      }
      for (const { subscriber, expected } of readers) {
        const rest: (string | undefined)[] = []
        while (subscriber.hasNext) rest.push(subscriber.take()?.text)
        expect(rest).toEqual(expected)
        expect(subscriber.take()).toBe(undefined)
      }
    }),
  )
})

it('shares a frame between subscribers, and keeps none that all have read', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const stream = new FrameStream()
  const quick = new Subscriber('quick', stream)
  const slow = new Subscriber('slow', stream)
  const frames: WeakRef<Link>[] = []
  for (let i = 0; i < 100; i++) {
    stream.push(createFrame(`frame ${i}`))
    frames.push(new WeakRef(stream.tail))
  }
  const alive = () => {
    collect()
    return frames.filter(frame => frame.deref() !== undefined).length
  }
  const isShared = () => {
    while (quick.hasNext) quick.take()
    for (let i = 0; i < 40; i++) slow.take()
    return slow.take() === frames[40]?.deref()?.frame
  }
  expect(isShared()).toBe(true)
  // The slow one holds its place, frame 40, and what comes after it.
  await waitUntil(() => alive() === 60, 'frames 0 to 39 to be collected')
  while (slow.hasNext) slow.take()
  await waitUntil(() => alive() === 1, 'all but the newest frame to be collected')
})
