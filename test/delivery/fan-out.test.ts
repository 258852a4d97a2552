import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FanOut } from '../../src/delivery/fan-out.js'
import { createFrame, type Link } from '../../src/delivery/stream.js'
import { Subscriber } from '../../src/delivery/subscriber.js'
import type { SubscriptionRequest } from '../../src/delivery/subscription.js'
import { EventSource } from '../../src/sources/source.js'
import { createClient, groupOptions, sent } from '../support/group.js'

/** @param prepare see SubscriptionRequest */
function createRequest(
  name: string,
  prepare: SubscriptionRequest<unknown>['prepare'] = () => true,
): SubscriptionRequest<unknown> {
  return {
    key: name,
    bytes: 0,
    prepare,
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
function createTurns(prepare?: SubscriptionRequest<unknown>['prepare']) {
  const due = new Set<() => void>()
  let budget = 0
  const fanOut = new FanOut(createRequest('a', prepare), {
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

it('a large event is rendered part by part, one in a turn if a part takes all of its time', () => {
  const parts: unknown[] = []
  const { fanOut, endTurn } = createTurns((event, isOver) => {
    do parts.push(event)
    while (parts.length < 3 && !isOver())
    return parts.length >= 3
  })
  const begin = fanOut.flushed().tail
  for (const event of ['large', 'small']) fanOut.push(event)
  endTurn(1)
  endTurn(1)
  expect([parts, textsAfter(begin), fanOut.hasPending]).toEqual([['large', 'large'], [], true])
  endTurn(2)
  expect(parts).toEqual(['large', 'large', 'large', 'small'])
  expect([textsAfter(begin), fanOut.hasPending]).toEqual([['a large', 'a small'], false])
})

it('a large event is rendered at once for a subscriber that needs its frame', () => {
  const { fanOut, endTurn } = createTurns(() => false)
  const begin = fanOut.flushed().tail
  fanOut.push(1)
  endTurn(9)
  expect(textsAfter(begin)).toEqual([])
  fanOut.flushed()
  expect(textsAfter(begin)).toEqual(['a 1'])
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
