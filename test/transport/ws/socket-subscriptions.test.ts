import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SubscriptionHandle } from '../../../src/delivery/subscription.js'
import type { Position } from '../../../src/log/position.js'
import { SocketSubscriptions } from '../../../src/transport/ws/socket-subscriptions.js'
import { PLAIN } from '../../support/cursors.js'

const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })

function createTested(maxSubscriptionsPerConnection = 100, subscribeRate = 1000) {
  return new SocketSubscriptions({ maxSubscriptionsPerConnection, subscribeRate })
}

const id = fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('__proto__', '"quoted"', '\u2028', '🐘'))

/** Creates a subscription of a group, and counts how often it was left. */
function createHandle(position?: Position) {
  let left = 0
  const handle: SubscriptionHandle = { position: () => position, leave: () => left++ }
  return { handle, timesLeft: () => left }
}

it('an operation counts until its client stops waiting and it has run, an accepted subscription until it ends', async () => {
  const subscriptions = createTested(2)
  const [first, second] = [subscriptions.wait('1'), subscriptions.wait('2')]
  expect(subscriptions.excess()?.limit).toBe('maxSubscriptionsPerConnection')
  // It runs while its client waits: still one operation.
  subscriptions.running++
  subscriptions.endWait('2', second)
  expect(subscriptions.excess()).toBe(undefined)
  // Its client waits no longer, but it still runs.
  subscriptions.abandon('1')
  expect(first.aborted).toBe(true)
  const iterator = subscriptions.accept('3', createHandle().handle)
  expect(subscriptions.excess()?.limit).toBe('maxSubscriptionsPerConnection')
  subscriptions.running--
  expect(subscriptions.excess()).toBe(undefined)
  subscriptions.wait('4')
  expect(subscriptions.excess()?.limit).toBe('maxSubscriptionsPerConnection')
  await iterator.return()
  expect(subscriptions.excess()).toBe(undefined)
})

it('operations beyond the rate are refused', () => {
  const subscriptions = createTested(1, 2)
  expect(subscriptions.excess()).toBe(undefined)
  expect(subscriptions.excess()).toBe(undefined)
  expect(subscriptions.excess()?.limit).toBe('subscribeRate')
})

it('an id that is used again belongs to its last operation', async () => {
  const subscriptions = createTested()
  const former = subscriptions.wait('1')
  subscriptions.abandon('1')
  const present = subscriptions.wait('1')
  subscriptions.endWait('1', former)
  expect([former.aborted, present.aborted, subscriptions.size]).toEqual([true, false, 1])
  const [one, two] = [createHandle(), createHandle()]
  const left = subscriptions.accept('1', one.handle)
  subscriptions.endWait('1', present)
  subscriptions.accept('1', two.handle)
  await left.return()
  expect([one.timesLeft(), two.timesLeft(), subscriptions.size]).toEqual([1, 0, 1])
})

it('abandons only those that wait, since graphql-ws ends the others', () => {
  const subscriptions = createTested()
  const waiting = subscriptions.wait('waiting')
  const { handle, timesLeft } = createHandle()
  subscriptions.accept('accepted', handle)
  subscriptions.abandonAll()
  expect([waiting.aborted, timesLeft(), subscriptions.size]).toEqual([true, 0, 1])
})

it('an error ends an accepted subscription and no other', async () => {
  const subscriptions = createTested()
  const { handle, timesLeft } = createHandle()
  const next = subscriptions.accept('1', handle).next()
  subscriptions.wait('2')
  for (const id of ['1', '2', 'unknown']) subscriptions.fail(id, new Error('ended'))
  await expect(next).rejects.toThrow('ended')
  expect([timesLeft(), subscriptions.size]).toEqual([1, 1])
})

it('the positions of accepted subscriptions are a ping, whatever the ids are', () => {
  fc.assert(
    fc.property(fc.uniqueArray(id, { maxLength: 5 }), ids => {
      const subscriptions = createTested()
      subscriptions.wait('waiting, not an id')
      const positions = ids.map((_, i) => (i % 2 === 0 ? at(i) : undefined))
      for (const [i, id] of ids.entries()) subscriptions.accept(id, createHandle(positions[i]).handle)
      const cursors = ids.map((id, i) => [id, positions[i] ? PLAIN.encode(positions[i]) : null])
      expect(Object.entries(JSON.parse(subscriptions.positions(PLAIN)).payload.cursors).sort()).toEqual(
        cursors.sort(),
      )
      expect(JSON.parse(subscriptions.positions(PLAIN, ids.slice(0, 1)))).toMatchObject({ type: 'ping' })
    }),
  )
})
