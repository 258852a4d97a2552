import { describe, expect, it } from 'vitest'
import { createFrame, FrameStream } from '../../src/delivery/stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import type { Position } from '../../src/log/position.js'

const at = (id: number, n = 1): Position => ({ n, token: 1, ord: 1, statement: 1, id })
const frame = (id: number) => createFrame(String(id), undefined, at(id))

function taken(subscriber: Subscriber): string[] {
  const texts: string[] = []
  while (subscriber.hasNext) texts.push(String(subscriber.take()?.text))
  return texts
}

/** `taken()` resolves when the second of two waiting frames is taken. */
async function expectTakenWithSecond(subscriber: Subscriber): Promise<void> {
  let isTaken = false
  const done = subscriber.taken().then(() => {
    isTaken = true
  })
  subscriber.take()
  await Promise.resolve()
  expect(isTaken).toBe(false)
  subscriber.take()
  await done
}

describe('a subscriber that joins its group from a stream of its own', () => {
  it('takes all its own frames first, then the frames of the group that it has not received', () => {
    const own = new FrameStream()
    const group = new FrameStream()
    const subscriber = new Subscriber('', own, at(0))
    expect(subscriber.isOn(group)).toBe(false)
    subscriber.join(group, at(3))
    expect([subscriber.isOn(own), subscriber.isOn(group)]).toEqual([true, true])
    for (const id of [1, 2, 3]) own.push(frame(id))
    for (const id of [2, 3, 4, 5]) group.push(frame(id))
    expect(subscriber.isLive).toBe(false)
    expect(taken(subscriber)).toEqual(['1', '2', '3', '4', '5'])
    expect(subscriber.isLive).toBe(true)
    expect(subscriber.isOn(own)).toBe(false)
  })

  it('receives plain notifications of the group, which the log does not contain', () => {
    const subscriber = new Subscriber('', new FrameStream(), at(0))
    const group = new FrameStream()
    subscriber.join(group, at(3))
    group.push(frame(2))
    group.push(createFrame('plain'))
    group.push(frame(3))
    group.push(frame(4))
    // After a plain notification, no frame is skipped until the next frame of the log is compared.
    expect(taken(subscriber)).toEqual(['plain', '4'])
  })

  it('receives the whole of a history that starts after the replayed one', () => {
    const subscriber = new Subscriber('', new FrameStream(), at(0))
    const group = new FrameStream()
    subscriber.join(group, at(9))
    group.push(frame(9))
    group.push(createFrame('gap', undefined, undefined, { endsHistory: true }))
    group.push(frame(1))
    expect(taken(subscriber)).toEqual(['gap', '1'])
  })

  it('and then another one before it has got to the events that it skips: it skips them there, too', () => {
    const [own, first, second] = [new FrameStream(), new FrameStream(), new FrameStream()]
    const subscriber = new Subscriber('', own, at(0))
    subscriber.join(first, at(4))
    first.push(frame(2))
    expect(subscriber.seen).toEqual(at(4))
    subscriber.join(second, at(2))
    for (const id of [3, 4, 5]) second.push(frame(id))
    expect(subscriber.seen).toBe(undefined)
    expect(taken(subscriber)).toEqual(['5'])
  })

  it('and then another one after the end of a history: it skips nothing there', () => {
    const [own, first, second] = [new FrameStream(), new FrameStream(), new FrameStream()]
    const subscriber = new Subscriber('', own, at(0))
    subscriber.join(first, at(9))
    first.push(createFrame('gap', undefined, undefined, { endsHistory: true }))
    subscriber.join(second, undefined)
    second.push(frame(1))
    expect(taken(subscriber)).toEqual(['gap', '1'])
  })

  it('gets nothing from before it joined, and counts the waiting frames of both streams after the first frame', () => {
    const own = new FrameStream()
    const group = new FrameStream()
    const subscriber = new Subscriber('', own, at(0))
    group.push(createFrame('former'))
    subscriber.join(group, undefined)
    own.push(createFrame('first'))
    own.push(createFrame('12'))
    group.push(createFrame('345'))
    expect(subscriber.waiting).toBe(5)
    expect(taken(subscriber)).toEqual(['first', '12', '345'])
    expect(subscriber.waiting).toBe(0)
  })
})

describe('the position of a subscriber', () => {
  it('is that of the last frame that it took while frames wait, and that of the group once it has taken everything', () => {
    const stream = new FrameStream()
    const subscriber = new Subscriber('', stream)
    expect(subscriber.position(at(5))).toEqual(at(5))
    stream.push(frame(6))
    stream.push(frame(7))
    expect(subscriber.position(at(7))).toBe(undefined)
    subscriber.take()
    expect(subscriber.position(at(7))).toEqual(at(6))
    subscriber.take()
    expect(subscriber.position(at(8))).toEqual(at(8))
    expect(subscriber.position(undefined)).toEqual(at(7))
  })

  it('is its position in the past while it catches up, never that of the group', () => {
    const own = new FrameStream()
    const subscriber = new Subscriber('', own, at(1))
    expect(subscriber.position(at(9))).toEqual(at(1))
    own.push(frame(2))
    subscriber.take()
    expect(subscriber.position(at(9))).toEqual(at(2))
    subscriber.pass(at(4))
    expect(subscriber.position(at(9))).toEqual(at(4))
  })

  it('is never earlier than the last replayed event', () => {
    const subscriber = new Subscriber('', new FrameStream(), at(1))
    const group = new FrameStream()
    subscriber.join(group, at(6))
    expect(subscriber.hasNext).toBe(false)
    expect(subscriber.position(at(3))).toEqual(at(6))
  })

  it('is unknown after the end of a history', () => {
    const stream = new FrameStream()
    const subscriber = new Subscriber('', stream)
    stream.push(frame(6))
    stream.push(createFrame('gap', undefined, undefined, { endsHistory: true }))
    subscriber.take()
    subscriber.take()
    expect(subscriber.position(undefined)).toBe(undefined)
  })
})

it('taken() resolves once no frame waits any more', async () => {
  const stream = new FrameStream()
  const subscriber = new Subscriber('', stream)
  await subscriber.taken()
  stream.push(frame(1))
  stream.push(frame(2))
  await expectTakenWithSecond(subscriber)
})

it('taken() waits for the frames of the following streams', async () => {
  const [stream, own] = [new FrameStream(), new FrameStream()]
  const subscriber = new Subscriber('', stream)
  stream.push(frame(1))
  subscriber.leaveFor(own)
  own.push(frame(2))
  await expectTakenWithSecond(subscriber)
})

it('a subscriber that has left holds and takes nothing', () => {
  let held = 0
  const own = new FrameStream(bytes => {
    held += bytes
  })
  const group = new FrameStream(bytes => {
    held += bytes
  })
  const subscriber = new Subscriber('', own, at(0))
  subscriber.join(group, undefined)
  own.push(frame(1))
  group.push(frame(2))
  expect(held).toBeGreaterThan(0)
  subscriber.leave()
  subscriber.leave()
  expect(held).toBe(0)
  expect([subscriber.hasLeft, subscriber.hasNext, subscriber.waiting]).toEqual([true, false, 0])
  expect(subscriber.take()).toBe(undefined)
})

describe('of states', () => {
  const state = (text: string) => createFrame(text, undefined, undefined, { isState: true })

  it('gets the newest one that waits, and the end after it', () => {
    const stream = new FrameStream()
    const subscriber = new Subscriber('', stream)
    for (const text of ['1', '2', '3']) stream.push(state(text))
    expect(subscriber.waiting).toBe(0)
    expect(subscriber.take()?.text).toBe('3')
    for (const text of ['4', '5']) stream.push(state(text))
    stream.push(createFrame('end', undefined, undefined, { isFinal: true }))
    expect([subscriber.take()?.text, subscriber.take()?.text, subscriber.take()]).toEqual([
      '5',
      'end',
      undefined,
    ])
  })
})
