import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bytes, duration, screenOf } from '../../../src/commands/top/screen.js'
import type { StatusBody } from '../../../src/server/inspection/status-body.js'

const STATUS: StatusBody = {
  instance: {
    version: '1.2.3',
    node: '22.1.0',
    pid: 7,
    startedAt: '2026-01-01T00:00:00.000Z',
    uptimeSeconds: 7200,
  },
  ready: true,
  notReady: [],
  log: { bytes: 1.5 * 2 ** 20, oldestSeconds: 90, lagEvents: 3, lagSeconds: 0.25 },
  connections: { open: 2, byTransport: { 'graphql-ws': 1, sse: 1, multipart: 0 } },
  groups: { open: 1, subscribers: 2, largest: [{ kind: 'live', topic: 'people', subscribers: 2 }] },
  slowest: [
    {
      transport: 'sse',
      remote: '10.0.0.1:4000',
      waitingBytes: 2048,
      blockedSeconds: 3,
      topics: ['people', 'a\u001b[2Jb'],
    },
  ],
  hottest: {
    tables: [{ name: 'people', events: 120, perSecond: 2 }],
    channels: [{ name: 'news.*', events: 6, perSecond: 0.1 }],
  },
  liveQueries: {
    open: 1,
    costliest: [{ table: 'people', reads: 40, seconds: 1.5, lastSeconds: 0.02, rows: 10, everySeconds: 0.2 }],
  },
}

it('shows the state of the server, its slowest connections, and the busiest topics, groups and live queries', () => {
  expect(screenOf(STATUS, 'http://localhost:7700', { columns: 200, rows: 60 })).toEqual([
    'listenql 1.2.3 at http://localhost:7700, up 2 h, pid 7, Node 22.1.0',
    'ready',
    'connections 2 (graphql-ws 1, sse 1)   groups 1, subscribers 2   live queries 1',
    'event log 1.5 MiB, oldest event 2 min ago, not dispatched: 3 events, 0.25 s',
    '',
    'Slowest connections',
    'waiting  blocked  transport  client         topics',
    '2.0 KiB  3 s      sse        10.0.0.1:4000  people a?[2Jb',
    '',
    'Events a second',
    'per second  topic',
    '2.0         people',
    '0.1         channel news.*',
    '',
    'Groups',
    'subscribers  kind  topic',
    '2            live  people',
    '',
    'Live queries by time',
    'seconds  reads  last    rows  every  table',
    '1.50     40     0.02 s  10    0.2 s  people',
  ])
})

it('says what is not ready, and leaves out what there is not', () => {
  const lines = screenOf(
    {
      ...STATUS,
      ready: false,
      notReady: [{ part: 'database', reason: 'it cannot be reached' }],
      log: null,
      slowest: [],
      hottest: { tables: [], channels: [] },
      groups: { open: 0, subscribers: 0, largest: [] },
      liveQueries: { open: 0, costliest: [] },
    },
    'http://a',
    { columns: 80, rows: 24 },
  )
  expect(lines.slice(1)).toEqual([
    'NOT READY: database (it cannot be reached)',
    'connections 2 (graphql-ws 1, sse 1)   groups 0, subscribers 0   live queries 0',
    'event log: none, or not read',
  ])
})

it('fits on every screen, and sends a terminal no control characters', () => {
  const size = fc.record({
    columns: fc.integer({ min: 1, max: 300 }),
    rows: fc.integer({ min: 1, max: 100 }),
  })
  const row = { transport: 'sse', waitingBytes: 1, blockedSeconds: 0 }
  fc.assert(
    fc.property(size, fc.array(fc.string({ unit: 'binary' }), { maxLength: 30 }), (room, names) => {
      const slowest = names.map(name => ({ ...row, remote: name, topics: [name] }))
      const lines = screenOf({ ...STATUS, slowest }, 'http://a', room)
      expect(lines.length).toBeLessThanOrEqual(room.rows)
      for (const line of lines) {
        expect(line.length).toBeLessThanOrEqual(room.columns)
        expect(line).not.toMatch(/\p{Cc}/u)
      }
    }),
  )
})

it('writes sizes and times in short', () => {
  expect([0, 1023, 1024, 5 * 2 ** 40].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '5120.0 GiB'])
  expect([0, 0.014, 9.999, 59.4, 61, 7199, 86400, 864000].map(duration)).toEqual([
    ...['0 s', '0.01 s', '10 s', '59 s', '1 min', '2 h', '24 h', '10 d'],
  ])
})
