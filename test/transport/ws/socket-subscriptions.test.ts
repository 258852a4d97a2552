import fc from 'fast-check'
import { GraphQLError } from 'graphql'
import { expect, it } from 'vitest'
import type { SubscriptionHandle } from '../../../src/delivery/subscription-handle.js'
import type { Position } from '../../../src/log/position.js'
import { SocketSubscriptions } from '../../../src/transport/ws/socket-subscriptions.js'
import { PLAIN } from '../../support/cursors.js'

const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })

function createTested(maxSubscriptionsPerConnection = 100, subscribeRate = 1000) {
  return new SocketSubscriptions({ maxSubscriptionsPerConnection, subscribeRate })
}

const id = fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('__proto__', '"quoted"', '\u2028', '🐘'))

/** Creates a subscription, and records why it is left. */
function createHandle(position?: Position) {
  const reasons: string[] = []
  const handle: SubscriptionHandle = {
    position: () => position,
    results: () => 0,
    leave: (reason = 'client') => void reasons.push(reason),
  }
  return { handle, reasons }
}

it('an operation counts until its client stops waiting and it has run, an accepted subscription until it ends', () => {
  const subscriptions = createTested(2)
  const [first, second] = [subscriptions.wait('1'), subscriptions.wait('2')]
  expect(subscriptions.excess()?.limit).toBe('maxSubscriptionsPerConnection')
  // It runs while its client waits: still one operation.
  subscriptions.running++
  subscriptions.endWait('2', second)
  expect(subscriptions.excess()).toBe(undefined)
  // Its client waits no longer, but it still runs.
  subscriptions.complete('1')
  expect(first.aborted).toBe(true)
  subscriptions.accept('3', createHandle().handle)
  expect(subscriptions.excess()?.limit).toBe('maxSubscriptionsPerConnection')
  subscriptions.running--
  expect(subscriptions.excess()).toBe(undefined)
  subscriptions.wait('4')
  expect(subscriptions.excess()?.limit).toBe('maxSubscriptionsPerConnection')
  subscriptions.complete('3')
  expect(subscriptions.excess()).toBe(undefined)
})

it('operations beyond the rate are refused', () => {
  const subscriptions = createTested(1, 2)
  expect(subscriptions.excess()).toBe(undefined)
  expect(subscriptions.excess()).toBe(undefined)
  expect(subscriptions.excess()?.limit).toBe('subscribeRate')
})

it('an id that is used again belongs to its last operation', () => {
  const subscriptions = createTested()
  const former = subscriptions.wait('1')
  subscriptions.complete('1')
  const present = subscriptions.wait('1')
  subscriptions.endWait('1', former)
  expect([former.aborted, present.aborted, subscriptions.size]).toEqual([true, false, 1])
  const [one, two] = [createHandle(), createHandle()]
  subscriptions.accept('1', one.handle)
  subscriptions.endWait('1', present)
  expect(subscriptions.isAccepted('1')).toBe(true)
  subscriptions.complete('1')
  expect(subscriptions.isAccepted('1')).toBe(false)
  subscriptions.accept('1', two.handle)
  subscriptions.complete('unknown')
  expect([one.reasons, two.reasons, subscriptions.size]).toEqual([['client'], [], 1])
})

it('a client that leaves aborts what waits and leaves what was accepted', () => {
  const subscriptions = createTested()
  const waiting = subscriptions.wait('waiting')
  const { handle, reasons } = createHandle()
  subscriptions.accept('accepted', handle)
  expect([subscriptions.isAccepted('waiting'), subscriptions.isAccepted('accepted')]).toEqual([false, true])
  subscriptions.completeAll()
  expect([waiting.aborted, reasons, subscriptions.size]).toEqual([true, ['client'], 0])
})

it('an error ends an accepted subscription and no other', () => {
  const subscriptions = createTested()
  const { handle, reasons } = createHandle()
  subscriptions.accept('1', handle)
  const waiting = subscriptions.wait('2')
  const error = new GraphQLError('ended', { extensions: { code: 'SCHEMA_CHANGED' } })
  expect(['1', '1', '2', 'unknown'].map(id => subscriptions.fail(id, error))).toEqual([
    true,
    false,
    false,
    false,
  ])
  expect([reasons, waiting.aborted, subscriptions.size]).toEqual([['SCHEMA_CHANGED'], false, 1])
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
