import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { costOf, createFrame, FrameStream, type Link } from '../../src/delivery/stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import { waitUntil } from '../support/wait.js'

const text = fc.string({ unit: 'grapheme', maxLength: 20 })
const action = fc.oneof(
  fc.record({ type: fc.constant('push' as const), text }),
  fc.constant({ type: 'join' as const }),
  fc.record({ type: fc.constant('take' as const), reader: fc.nat(5), count: fc.nat(4) }),
)

it('every subscriber gets exactly the frames after its position, in order, and waiting frames are counted', () => {
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
          // The first frame can always pass: only the frames after it count.
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

it('a stream holds the frames that the slowest reader has not taken, and none once all readers have left or taken everything', () => {
  const move = fc.oneof(
    fc.record({ type: fc.constant('push' as const), text }),
    fc.record({ type: fc.constant('join' as const), seam: fc.boolean(), reader: fc.nat(5) }),
    fc.record({ type: fc.constant('take' as const), reader: fc.nat(5), count: fc.nat(4) }),
    fc.record({ type: fc.constant('leave' as const), reader: fc.nat(5) }),
  )
  fc.assert(
    fc.property(fc.array(move, { maxLength: 80 }), moves => {
      let held = 0
      const wait = (bytes: number) => {
        held += bytes
      }
      /**
       * The frames of the two streams and, for each reader, the number of frames of its current stream that it has not taken.
       */
      const streams = [new FrameStream(wait), new FrameStream(wait)] as const
      const frames: [number[], number[]] = [[], []]
      const readers: { subscriber: Subscriber; at: [number, number | undefined] }[] = []
      const leave = (index: number) => readers.splice(index, 1)[0]?.subscriber.leave()
      for (const step of moves) {
        const reader = 'reader' in step ? readers[step.reader] : undefined
        if (step.type === 'push') {
          for (const which of [0, 1] as const) {
            const frame = createFrame(`${which}${step.text}`)
            streams[which].push(frame)
            frames[which].push(costOf(frame))
          }
        } else if (step.type === 'join' && step.seam) {
          if (!reader || reader.at[1] !== undefined) continue
          reader.subscriber.join(streams[1], undefined)
          reader.at[1] = frames[1].length
        } else if (step.type === 'join') {
          readers.push({ subscriber: new Subscriber('', streams[0]), at: [frames[0].length, undefined] })
        } else if (step.type === 'leave') leave(step.reader)
        else {
          for (let i = 0; reader && i < step.count && reader.subscriber.take(); i++) {
            if (reader.at[0] < frames[0].length) reader.at[0]++
            else if (reader.at[1] !== undefined) reader.at[1]++
          }
        }
        const expected = ([0, 1] as const).map(which => {
          const from = Math.min(...readers.map(({ at }) => at[which] ?? Number.POSITIVE_INFINITY))
          return frames[which].slice(from).reduce((sum, cost) => sum + cost, 0)
        })
        expect(held).toBeGreaterThanOrEqual(0)
        // A reader that has moved to the next stream holds no frame of the first one.
        if (readers.every(({ at }) => at[1] === undefined)) expect(held).toBe(expected[0])
        else expect(held).toBeLessThanOrEqual((expected[0] ?? 0) + (expected[1] ?? 0))
      }
      for (const { subscriber } of readers) {
        while (subscriber.take());
      }
      expect(held).toBe(0)
      streams[0].push(createFrame('more'))
      streams[1].push(createFrame('more'))
      while (readers.length > 0) leave(0)
      expect(held).toBe(0)
    }),
  )
})

it('subscribers share a frame, and a frame that all of them have read is released', async () => {
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
  // The slow reader holds its current frame, number 40, and the later ones.
  await waitUntil(() => alive() === 60, 'frames 0 to 39 to be collected')
  while (slow.hasNext) slow.take()
  await waitUntil(() => alive() === 1, 'all but the newest frame to be collected')
})
