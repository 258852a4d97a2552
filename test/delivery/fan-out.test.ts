import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FanOut } from '../../src/delivery/fan-out.js'
import { createFrame, type Link } from '../../src/delivery/stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import { EventSource } from '../../src/sources/source.js'
import { createClient, groupOptions, sent } from '../support/group.js'

function createRequest(name: string): SubscriptionRequest<unknown> {
  return {
    key: name,
    bytes: 0,
    source: new EventSource<unknown>(
      { kind: 'channel', name },
      { open: async () => () => undefined, live: async () => undefined },
    ),
    render: event => `${name} ${event}`,
    renderTooLarge: () => 'too large',
    renderEnd: ({ code }) => code,
    renew: () => undefined,
  }
}

/** Creates a fan-out whose turns of the event loop end when the test says so, after `budget` events each. */
function createTurns() {
  const due = new Set<() => void>()
  let budget = 0
  const fanOut = new FanOut(createRequest('a'), {
    ...groupOptions,
    scheduler: {
      ...groupOptions.scheduler,
      due: task => void due.add(task),
      get isOver() {
        return --budget <= 0
      },
    },
  })
  return {
    fanOut,
    endTurn(events: number) {
      budget = events
      for (const task of [...due]) {
        due.delete(task)
        task()
      }
    },
  }
}

function textsAfter(link: Link): string[] {
  return link.next ? [link.next.frame.text, ...textsAfter(link.next)] : []
}

it('frames are in the order of the events and each event is rendered once, by the request it came under', () => {
  type Step = 'event' | 'turn' | 'flush' | 'request' | 'send'
  const step = fc.constantFrom<Step>('event', 'event', 'turn', 'flush', 'request', 'send')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 3 }), (steps, budget) => {
      const { fanOut, endTurn } = createTurns()
      const begin = fanOut.flushed().tail
      const expected: string[] = []
      let name = 'a'
      for (const [i, one] of steps.entries()) {
        if (one === 'event') {
          fanOut.push(i)
          expected.push(`${name} ${i}`)
        } else if (one === 'turn') endTurn(budget)
        else if (one === 'flush') fanOut.flushed()
        else if (one === 'request') {
          name = `b${i}`
          fanOut.renderBy(createRequest(name))
        } else {
          fanOut.send(createFrame(`sent ${i}`))
          expected.push(`sent ${i}`)
        }
        expect(expected.slice(0, textsAfter(begin).length)).toEqual(textsAfter(begin))
        expect(fanOut.hasPending).toBe(textsAfter(begin).length < expected.length)
      }
      expect([fanOut.flushed().tail === begin, textsAfter(begin)]).toEqual([expected.length === 0, expected])
    }),
  )
})

it('events that do not fit into one turn are rendered in the next ones', () => {
  const { fanOut, endTurn } = createTurns()
  const begin = fanOut.flushed().tail
  for (const event of [1, 2, 3]) fanOut.push(event)
  endTurn(2)
  expect(textsAfter(begin)).toEqual(['a 1', 'a 2'])
  endTurn(2)
  expect(textsAfter(begin)).toEqual(['a 1', 'a 2', 'a 3'])
})

it('every subscriber is notified, and gets the frames from the place where it entered', async () => {
  const fanOut = new FanOut(createRequest('a'), groupOptions)
  const [first, second] = [createClient(), createClient()]
  fanOut.subscribers.set(new Subscriber('', fanOut.flushed()), first.outbound)
  fanOut.push(1)
  fanOut.subscribers.set(new Subscriber('', fanOut.flushed()), second.outbound)
  fanOut.push(2)
  await sent()
  expect([first.texts, second.texts]).toEqual([['a 1', 'a 2'], ['a 2']])
})

it('an event of the past is rendered once for all that replay it, and is no frame of the stream', () => {
  const { fanOut } = createTurns()
  const begin = fanOut.flushed().tail
  const event = { toString: () => 'past' }
  expect(fanOut.replayed(event).text).toBe('a past')
  expect(fanOut.replayed(event)).toBe(fanOut.replayed(event))
  expect(textsAfter(begin)).toEqual([])
})
