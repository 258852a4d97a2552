import { describe, expect, it } from 'vitest'
import { pageStatus } from '../../../page/session/page-status.js'

const since = new Date(2026, 10, 30, 14, 2, 0)
const status = (
  ...[readiness, state, viewer = 'accepted']: [
    Parameters<typeof pageStatus>[0],
    Parameters<typeof pageStatus>[1]['state'],
    Parameters<typeof pageStatus>[2]?,
  ]
) => pageStatus(readiness, { state, since }, viewer)

describe('the status of the page', () => {
  it('is good only if server, connection and database are', () => {
    expect(status('ready', 'live')).toEqual({ tone: 'good', text: 'Connected' })
    expect(status('ready', 'idle')).toEqual({ tone: 'good', text: 'Ready' })
    for (const readiness of [
      'database unreachable',
      'notifications not delivered',
      'log stalled',
      'stopping',
      'unknown',
    ] as const)
      expect(status(readiness, 'live').tone).not.toBe('good')
    for (const state of ['connecting', 'catching-up', 'offline'] as const)
      expect(status('ready', state).tone).not.toBe('good')
  })

  it('goes by the connection where a proxy does not let the page ask', () => {
    expect(status('unreachable', 'live')).toEqual({ tone: 'good', text: 'Connected' })
    expect(status('unreachable', 'idle').text).toBe('Server unreachable')
  })

  it('says that rows may be out of date exactly while the connection stands and the database cannot be followed', () => {
    for (const readiness of ['database unreachable', 'notifications not delivered', 'log stalled'] as const) {
      expect(status(readiness, 'live').warning).toMatch('may be out of date')
      expect(status(readiness, 'offline').warning).toBe(undefined)
    }
    expect(status('ready', 'live').warning).toBe(undefined)
  })

  it('does not call a server unreachable that refuses the viewer', () => {
    expect(status('ready', 'offline', 'missing')).toEqual({ tone: 'refused', text: 'Not signed in' })
    expect(status('ready', 'idle', 'refused')).toEqual({ tone: 'refused', text: 'Token refused' })
    expect(status('unreachable', 'offline', 'missing').text).toMatch(/^Server unreachable since 14:02:00/)
  })
})
