import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createBackpressure } from '../../src/delivery/backpressure.js'
import { Outbound } from '../../src/delivery/outbound.js'
import type { Sink } from '../../src/delivery/sink.js'
import { createFrame, FrameStream } from '../../src/delivery/stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import type { Observation } from '../../src/lib/observation.js'

const BATCH = 64 * 1024

beforeEach(() => {
  vi.useFakeTimers()
  vi.advanceTimersByTime(1000) // performance.now() of a process is never 0.
})
afterEach(() => void vi.useRealTimers())

interface Sent {
  readonly id: string
  readonly text: string
}

/** A connection whose socket takes `room` bytes, and that may also be blocked after each write. */
function connect({ maxBuffer = 2 ** 30, stallTimeout = 1000, blockAfterWrite = false } = {}) {
  const log: Sent[] = []
  const batches: { bytes: number; frames: number }[] = []
  const observations: Observation[] = []
  const due = new Set<() => void>()
  let inBatch = false
  let blocked = false
  const socket = { room: Infinity, onEnd: () => {} }
  const take = (id: string, text: string, frames: number) => {
    expect(inBatch && sink.writable, 'only in a batch, while writable').toBe(true)
    const batch = batches.at(-1) as { bytes: number; frames: number }
    batch.bytes += text.length
    batch.frames += frames
    socket.room -= text.length
    log.push({ id, text })
  }
  const sink: Sink = {
    held: 0,
    get writable() {
      return socket.room > 0 && !blocked
    },
    frame: (subscriber, frame) => take(subscriber.id, frame.text, 1),
    control(text) {
      expect(inBatch).toBe(true)
      const batch = batches.at(-1) as { bytes: number; frames: number }
      batch.bytes += text.length
      socket.room -= text.length
      log.push({ id: 'control', text })
    },
    begin() {
      expect(inBatch).toBe(false)
      inBatch = true
      batches.push({ bytes: 0, frames: 0 })
    },
    end() {
      inBatch = false
      blocked = blockAfterWrite
      socket.onEnd()
    },
    cut: reason => log.push({ id: 'cut', text: reason }),
  }
  const scheduler = {
    due: (task: () => void) => void due.add(task),
    spare: (task: () => void) => void due.add(task),
    afterwards: (task: () => void) => void due.add(task),
    isOver: false,
  }
  const observe = (observation: Observation) => void observations.push(observation)
  const backpressure = createBackpressure({ limits: { maxBuffer }, scheduler, observe })
  const outbound = new Outbound(
    {
      limits: { maxBuffer },
      stallTimeout,
      scheduler,
      backpressure,
      memory: { wait: () => undefined },
      observe,
    },
    sink,
    { transport: 'test', remote: 'here' },
  )
  return {
    outbound,
    socket,
    log,
    batches,
    observations,
    backpressure,
    join(id: string, stream: FrameStream) {
      const subscriber = new Subscriber(id, stream)
      return subscriber
    },
    endTurn() {
      for (const task of due) {
        due.delete(task)
        task()
      }
    },
    drain(room = Infinity) {
      socket.room = room
      blocked = false
      outbound.resume()
    },
    /** What a subscription received. */
    got: (id: string) => log.filter(sent => sent.id === id).map(sent => sent.text),
  }
}

function publish(stream: FrameStream, text: string, ...to: [Outbound, Subscriber][]): void {
  stream.push(createFrame(text))
  for (const [outbound, subscriber] of to) outbound.notify(subscriber)
}

describe('frames and controls in any interleaving with a socket that blocks and drains', () => {
  const size = fc.oneof(fc.nat(40), fc.nat(3000), fc.integer({ min: 0, max: 100_000 }))
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('push' as const),
        stream: fc.nat(2),
        size,
        count: fc.nat(80),
      }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('control' as const), size: fc.nat(200) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('join' as const), stream: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), which: fc.nat(6) }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('drain' as const), room: fc.nat(200_000) }) },
    { weight: 4, arbitrary: fc.constant({ type: 'end turn' as const }) },
  )

  it('keep their order without loss or duplicates, in batches of bounded size', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.boolean(),
        fc.nat(100_000),
        (steps, blockAfterWrite, room) => {
          const connection = connect({ blockAfterWrite })
          const { outbound, log, got } = connection
          connection.socket.room = room
          const streams = [new FrameStream(), new FrameStream(), new FrameStream()]
          const members: { subscriber: Subscriber; stream: number; expected: string[]; left: boolean }[] = []
          const controls: string[] = []
          let counter = 0
          const text = (length: number) => `${++counter}:`.padEnd(length, 'x')
          const join = (stream: number) => {
            const subscriber = connection.join(String(members.length), streams[stream] as FrameStream)
            members.push({ subscriber, stream, expected: [], left: false })
          }
          join(0)
          join(0)
          join(1)
          for (const step of steps) {
            if (step.type === 'push') {
              for (let i = 0; i < step.count; i++) {
                const frame = text(step.size)
                const here = members.filter(({ stream, left }) => stream === step.stream && !left)
                for (const { expected } of here) expected.push(frame)
                publish(
                  streams[step.stream] as FrameStream,
                  frame,
                  ...here.map(({ subscriber }): [Outbound, Subscriber] => [outbound, subscriber]),
                )
              }
            } else if (step.type === 'control') {
              controls.push(text(step.size))
              outbound.control(controls.at(-1) as string)
            } else if (step.type === 'join') join(step.stream)
            else if (step.type === 'leave') {
              const member = members[step.which]
              if (!member || member.left) continue
              member.left = true
              outbound.remove(member.subscriber)
              member.expected = got(member.subscriber.id) // the upper bound
            } else if (step.type === 'drain') connection.drain(step.room)
            else connection.endTurn()
          }
          for (
            let i = 0;
            i < 10_000 && outbound.waiting + members.filter(m => !m.left && m.subscriber.hasNext).length > 0;
            i++
          ) {
            connection.drain()
            connection.endTurn()
          }
          connection.drain()
          connection.endTurn()
          for (const { subscriber, expected } of members) expect(got(subscriber.id)).toEqual(expected)
          expect(got('control')).toEqual(controls)
          expect(log.some(({ id }) => id === 'cut')).toBe(false)
          for (const { bytes, frames } of connection.batches) {
            expect(bytes).toBeLessThanOrEqual(BATCH + 100_000)
            expect(frames).toBeLessThanOrEqual(BATCH / 8)
          }
          expect(outbound.waiting).toBe(0)
          expect(outbound.blockedFor).toBe(0)
          expect(vi.getTimerCount()).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })
})

describe('one write', () => {
  it('carries the output of a turn, controls first, in the order of arrival', () => {
    const { outbound, join, endTurn, log, batches } = connect()
    const stream = new FrameStream()
    const subscriber = join('a', stream)
    publish(stream, 'one', [outbound, subscriber])
    outbound.control('ack')
    publish(stream, 'two', [outbound, subscriber])
    outbound.control('pong')
    expect(log).toEqual([])
    endTurn()
    expect(log.map(({ text }) => text)).toEqual(['ack', 'pong', 'one', 'two'])
    expect(batches).toHaveLength(1)
  })

  it('is bounded even if frames are empty', () => {
    const { outbound, join, endTurn, batches } = connect()
    const stream = new FrameStream()
    const subscriber = join('a', stream)
    for (let i = 0; i < 50_000; i++) publish(stream, '', [outbound, subscriber])
    endTurn()
    expect(Math.max(...batches.map(({ frames }) => frames))).toBeLessThanOrEqual(BATCH / 8)
    expect(batches.reduce((sum, { frames }) => sum + frames, 0)).toBe(50_000)
  })
})

describe('several subscriptions of one connection', () => {
  it('all make progress, whatever the size of their events', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 900, max: 1100 }), fc.integer({ min: 1, max: 70_000 })), {
          minLength: 2,
          maxLength: 6,
        }),
        sizes => {
          const { outbound, join, endTurn, drain, got } = connect({ blockAfterWrite: true })
          const members = sizes.map((size, i) => {
            const stream = new FrameStream()
            const subscriber = join(String(i), stream)
            const count = Math.ceil((10 * BATCH) / size)
            for (let n = 0; n < count; n++) publish(stream, 'x'.repeat(size), [outbound, subscriber])
            return subscriber
          })
          endTurn()
          // An event costs 8 bytes more than its text.
          const served = () => members.map(({ id }, i) => got(id).length * ((sizes[i] as number) + 8))
          for (let batch = 0; batch < 20 && members.every(subscriber => subscriber.hasNext); batch++) {
            drain()
            endTurn()
            const bytes = served()
            // A turn is 16 KiB and may end with one more event; a batch has four turns.
            const most = Math.max(...sizes) + 8
            expect(Math.max(...bytes) - Math.min(...bytes)).toBeLessThanOrEqual(
              (4 * batch + 5) * most + BATCH / 2,
            )
          }
          expect(Math.min(...served())).toBeGreaterThan(0)
        },
      ),
      { numRuns: 30, examples: [[[1024, 1024]], [[1023, 1023]], [[600, 600, 600]]] },
    )
  })

  it('get equal shares of the socket if their events have equal sizes', () => {
    for (const size of [1, 100, 600, 1023, 1024, 1040, 30_000, 65_536]) {
      const { outbound, join, endTurn, drain, got } = connect({ blockAfterWrite: true })
      const stream = new FrameStream()
      const ids = ['a', 'b', 'c']
      const members = ids.map((id): [Outbound, Subscriber] => [outbound, join(id, stream)])
      const count = Math.ceil((10 * BATCH) / size)
      for (let i = 0; i < count; i++) publish(stream, 'x'.repeat(size), ...members)
      endTurn()
      for (let batch = 0; batch < 10; batch++) {
        drain()
        endTurn()
      }
      const counts = ids.map(id => got(id).length)
      expect(Math.max(...counts) - Math.min(...counts), `size ${size}`).toBeLessThanOrEqual(
        BATCH / 4 / size + 1,
      )
    }
  })
})

describe('a connection is cut off', () => {
  it('if more than maxBuffer waits after the first frame and the socket is blocked', () => {
    const { outbound, join, socket, endTurn, log, observations } = connect({ maxBuffer: 1000 })
    const stream = new FrameStream()
    const subscriber = join('a', stream)
    socket.room = 0
    publish(stream, 'x'.repeat(50_000), [outbound, subscriber]) // of any size
    publish(stream, 'x'.repeat(1000), [outbound, subscriber])
    endTurn()
    expect(log).toEqual([])
    publish(stream, 'x', [outbound, subscriber])
    endTurn()
    expect(log).toEqual([{ id: 'cut', text: 'buffer-full' }])
    expect(observations.filter(({ type }) => type === 'subscriber.cut')).toEqual([
      { type: 'subscriber.cut', transport: 'test', remote: 'here', reason: 'buffer-full', waiting: 1001 },
    ])
    expect(outbound.closed).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('but not while the socket takes everything, however much one turn brings', () => {
    const { outbound, join, endTurn, got } = connect({ maxBuffer: 1000 })
    const stream = new FrameStream()
    const subscriber = join('a', stream)
    for (let i = 0; i < 5000; i++) publish(stream, `${i}`.padEnd(100), [outbound, subscriber])
    endTurn()
    expect(got('cut')).toEqual([])
    expect(got('a').map(Number)).toEqual(Array.from({ length: 5000 }, (_, i) => i))
  })

  it('if controls alone exceed the buffer: a client that sends requests and never reads', () => {
    const { outbound, socket, endTurn, got } = connect({ maxBuffer: 1000 })
    socket.room = 0
    for (let i = 0; i < 101; i++) outbound.control('x'.repeat(10))
    endTurn()
    expect(got('cut')).toEqual(['buffer-full'])
  })

  it('if nothing moves for the stall timeout, but not while something moves', () => {
    const { outbound, join, socket, endTurn, drain, got } = connect({ stallTimeout: 1000 })
    const stream = new FrameStream()
    const subscriber = join('a', stream)
    socket.room = 1
    for (let i = 0; i < 20; i++) publish(stream, 'event', [outbound, subscriber])
    endTurn()
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(700)
      drain(1)
    }
    expect(got('cut')).toEqual([])
    expect(got('a')).toHaveLength(11)
    vi.advanceTimersByTime(700)
    outbound.resume() // A piece of a large frame has left; the socket is not writable yet.
    vi.advanceTimersByTime(900)
    expect(got('cut')).toEqual([])
    expect(outbound.blockedFor).toBe(900)
    vi.advanceTimersByTime(400)
    expect(got('cut')).toEqual(['stalled'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('but not for a period in which nothing waited', () => {
    const { outbound, join, socket, endTurn, drain, got } = connect({ stallTimeout: 1000 })
    const stream = new FrameStream()
    const subscriber = join('a', stream)
    for (let i = 0; i < 5; i++) {
      socket.room = 1
      publish(stream, 'event', [outbound, subscriber])
      endTurn()
      vi.advanceTimersByTime(600)
      drain()
      expect(vi.getTimerCount()).toBe(0)
      expect(outbound.blockedFor).toBe(0)
      vi.advanceTimersByTime(60_000)
    }
    expect(got('cut')).toEqual([])
  })
})

describe('a connection that is closed', () => {
  it('takes nothing more and leaves no timer, even if its socket closes it during a write', () => {
    for (const during of [false, true]) {
      const { outbound, join, socket, endTurn, drain, log, observations } = connect({ stallTimeout: 1000 })
      const stream = new FrameStream()
      const subscriber = join('a', stream)
      socket.room = 1
      for (let i = 0; i < 100; i++) publish(stream, 'event', [outbound, subscriber])
      if (during) {
        socket.onEnd = () => {
          socket.room = 0
          outbound.close()
        }
      }
      endTurn()
      outbound.close()
      const before = log.length
      publish(stream, 'event', [outbound, subscriber])
      outbound.control('pong')
      drain()
      endTurn()
      vi.advanceTimersByTime(10_000)
      expect(log).toHaveLength(before)
      expect(observations.filter(({ type }) => type === 'subscriber.cut')).toEqual([])
      expect(outbound.waiting).toBe(0)
      expect(vi.getTimerCount()).toBe(0)
    }
  })
})
