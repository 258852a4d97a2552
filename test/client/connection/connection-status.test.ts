import { expect, it } from 'vitest'
import { createStatusTracker } from '../../../src/client/connection/connection-status.js'

it('is idle, then connecting, then live', () => {
  const tracker = createStatusTracker()
  expect(tracker.store.getSnapshot().state).toBe('idle')
  tracker.connecting()
  expect(tracker.store.getSnapshot().state).toBe('connecting')
  tracker.connected(false)
  expect(tracker.store.getSnapshot().state).toBe('live')
})

it('stays offline, since the same time, until it is connected; then catches up', () => {
  const tracker = createStatusTracker()
  const seen: string[] = []
  const leave = tracker.store.subscribe(() => seen.push(tracker.store.getSnapshot().state))
  tracker.connecting()
  tracker.closed(false)
  const offline = tracker.store.getSnapshot()
  tracker.connecting()
  tracker.closed(false)
  expect(tracker.store.getSnapshot()).toBe(offline)
  tracker.connecting()
  tracker.connected(true)
  tracker.resumed()
  tracker.resumed()
  tracker.closed(true)
  tracker.resumed()
  leave()
  tracker.connecting()
  expect(seen).toEqual(['connecting', 'offline', 'catching-up', 'live', 'idle'])
})
