import { expect, it } from 'vitest'
import { createHealth, type HealthOptions } from '../../src/telemetry/health.js'

const readiness = (options: Partial<HealthOptions>) =>
  createHealth({
    notifications: () => 'yes',
    needsNotifications: true,
    log: () => 'followed',
    phase: () => 'serving',
    ...options,
  }).answer('/readyz')

it('a server that works is ready, and names no part', () => {
  expect(readiness({})).toEqual({ status: 200, body: { status: 'ready', database: 'connected' } })
})

it('a server that is not ready names each part that does not work, and why', () => {
  const stopping = readiness({ phase: () => 'stopping', notifications: () => 'no', log: () => 'away' })
  expect(stopping).toMatchObject({
    status: 503,
    body: {
      status: 'stopping',
      database: 'unreachable',
      notReady: [{ part: 'server' }, { part: 'database' }],
    },
  })
  const stuck = readiness({ notifications: () => 'deaf', log: () => 'stalled' })
  expect(stuck).toMatchObject({
    status: 503,
    body: {
      status: 'not ready',
      database: 'connected',
      notifications: 'not delivered',
      log: 'stalled',
      notReady: [
        { part: 'notifications', reason: expect.stringContaining('pooler') },
        { part: 'log', reason: expect.any(String) },
      ],
    },
  })
})

it('a server that needs no notifications names the database only if it does not read the log', () => {
  const away = readiness({ needsNotifications: false, notifications: () => 'no', log: () => 'away' })
  expect(away?.body).toMatchObject({ notReady: [{ part: 'database' }] })
  expect(readiness({ needsNotifications: false, notifications: () => 'no' })?.status).toBe(200)
})
