import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { EndMarks } from '../../src/delivery/end-marks.js'
import { createFrame, FrameStream } from '../../src/delivery/stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import { TransactionEnds } from '../../src/delivery/transaction-ends.js'
import { endOfBatch } from '../../src/log/position.js'

const frames = { announcement: createFrame('announced'), end: createFrame('end') }
const at = (id: number) => ({ n: 1, token: 1, ord: 1, statement: 1, id })
const END = endOfBatch({ n: 1, token: 1 })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function connect() {
  const sent: string[] = []
  const sink = {
    writable: true,
    frame: (_subscriber: unknown, { text }: { text: string }) => void sent.push(text),
  }
  let checks = 0
  const marks: EndMarks = new EndMarks(sink, subscriber => {
    checks++
    marks.write(subscriber)
  })
  const stream = new FrameStream()
  const subscriber = new Subscriber('', stream)
  let reached = at(0)
  subscriber.ends = new TransactionEnds({ frames, reached: () => reached })
  return {
    marks,
    sink,
    sent,
    subscriber,
    checks: () => checks,
    /** The subscriber takes a change of transaction 1. */
    take(id: number) {
      stream.push(createFrame(`change ${id}`, undefined, at(id)))
      sent.push((subscriber.take() as { text: string }).text)
      marks.write(subscriber)
    },
    reach() {
      reached = END
    },
  }
}

it('announces marks first, and marks the end in the same write if the transaction is complete', () => {
  const { marks, subscriber, sent, take, reach } = connect()
  marks.write(subscriber)
  reach()
  take(1)
  marks.write(subscriber)
  expect(sent).toEqual(['announced', 'change 1', 'end'])
  expect(vi.getTimerCount()).toBe(0)
})

it('checks an incomplete transaction at growing intervals until it is complete', () => {
  const { marks, subscriber, sent, take, reach, checks } = connect()
  marks.write(subscriber)
  take(1)
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(10_000)
  expect(checks()).toBeGreaterThan(10)
  expect(checks()).toBeLessThan(60)
  expect(sent).toEqual(['announced', 'change 1'])
  reach()
  vi.advanceTimersByTime(250)
  expect(sent).toEqual(['announced', 'change 1', 'end'])
  expect(vi.getTimerCount()).toBe(0)
})

it('writes nothing to a full socket, but later', () => {
  const { marks, sink, subscriber, sent, take, reach } = connect()
  marks.write(subscriber)
  reach()
  sink.writable = false
  take(1)
  expect(sent).toEqual(['announced', 'change 1'])
  sink.writable = true
  vi.advanceTimersByTime(2)
  expect(sent.at(-1)).toBe('end')
})

it('forgets subscribers that leave, and leaves no timer when the connection closes', () => {
  const { marks, subscriber, sent, take, reach, checks } = connect()
  marks.write(subscriber)
  take(1)
  marks.remove(subscriber)
  reach()
  vi.advanceTimersByTime(1000)
  expect([checks(), sent.length]).toEqual([0, 2])
  take(2)
  take(3)
  marks.close()
  expect(vi.getTimerCount()).toBe(0)
})
