import { expect, it } from 'vitest'
import { createAccessRules } from '../../src/auth/channel-rules.js'
import { EventCounts } from '../../src/sources/event-counts.js'

it('channels count by the pattern that opens them, however many there are', () => {
  const pattern = `user.\${claims.sub}.*`
  const rules = createAccessRules(
    { everybody: ['news'], roles: { user: [pattern, 'room:*'] } },
    { everybody: [], roles: {} },
  )
  const counts = new EventCounts(channel => rules.patternOf(channel) ?? 'other')
  for (let i = 0; i < 5000; i++) counts.notified(`user.${i}.mail`)
  counts.notified('user.7.mail')
  counts.dispatched({ kind: 'c', topic: 'news' })
  counts.notified('nobody may')
  expect(Object.fromEntries([...counts.channels].map(([key, { events }]) => [key, events]))).toEqual({
    [pattern]: 5001,
    news: 1,
    other: 1,
  })
  expect(counts.tables.size).toBe(0)
})

it('channels count by the patterns that are in force', () => {
  let pattern = 'a*'
  const counts = new EventCounts(() => pattern)
  counts.notified('a1')
  pattern = '*'
  counts.patternsChanged()
  counts.notified('a1')
  expect(Object.fromEntries(counts.channels)).toEqual({ 'a*': { events: 1 }, '*': { events: 1 } })
})

it('tables count by their oid', () => {
  const counts = new EventCounts(() => 'other')
  for (const topic of ['1', '2', '1']) counts.dispatched({ kind: 't', topic })
  expect([...counts.tables]).toEqual([
    ['1', { events: 2 }],
    ['2', { events: 1 }],
  ])
})
