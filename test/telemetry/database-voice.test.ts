import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Observation } from '../../src/lib/observation.js'
import { createLogObserver } from '../../src/telemetry/log-observations.js'
import type { Logger } from '../../src/telemetry/logger.js'

const AWAY = { message: 'nothing listens', hint: 'is it running?', isAway: true }
const DENIED = { message: 'permission denied for function pull', isAway: false }

let said: string[]
let observe: (observation: Observation) => void

beforeEach(() => {
  vi.useFakeTimers()
  said = []
  const note = (level: string) => (text: unknown) => void said.push(`${level} ${text}`)
  const logger = { debug: () => undefined, info: note('info'), warn: note('warn'), error: note('error') }
  observe = createLogObserver(logger as unknown as Logger)
})
afterEach(() => vi.useRealTimers())

const unreachable = (attempt: number, failure = AWAY) =>
  observe({ type: 'database.unreachable', ...failure, attempt, retryIn: 1 })
const connected = () => observe({ type: 'database.connected', afterAttempts: 1, channels: 1 })
const lostLog = (failure: typeof AWAY | typeof DENIED) =>
  observe({ type: 'log.lost', ...failure, retryIn: 1 })

it('an unreachable database is reported once, whichever part notices it first', () => {
  lostLog(AWAY)
  observe({ type: 'catalog.failed', ...AWAY })
  for (let attempt = 1; attempt < 5; attempt++) unreachable(attempt)
  expect(said).toEqual([
    'warn The database cannot be reached: nothing listens. Is it running? The server keeps trying.',
  ])
})

it('two alternating causes are reported once each, and again after a while', () => {
  const starting = { message: 'it is starting up', hint: 'wait a moment', isAway: true }
  const both = [
    'warn The database cannot be reached: nothing listens. Is it running? The server keeps trying.',
    'warn The database cannot be reached: it is starting up. Wait a moment. The server keeps trying.',
  ]
  for (let attempt = 1; attempt < 9; attempt++) unreachable(attempt, attempt % 2 === 0 ? starting : AWAY)
  expect(said).toEqual(both)
  vi.advanceTimersByTime(601_000)
  for (let attempt = 9; attempt < 13; attempt++) unreachable(attempt, attempt % 2 === 0 ? starting : AWAY)
  expect(said).toEqual([...both, ...both])
  connected()
  unreachable(1)
  expect(said.slice(4)).toEqual(['info The database is connected; listening to 1 channel.', both[0]])
})

it('a failure of another part is reported only if the LISTEN connection does not report it', () => {
  connected()
  lostLog(AWAY)
  observe({ type: 'database.lost', message: 'closed', channels: 1 })
  vi.advanceTimersByTime(5000)
  connected()
  lostLog(AWAY)
  vi.advanceTimersByTime(5000)
  expect(said).toEqual([
    'warn The database connection was lost: closed. Subscribers stay connected and get a gap; the server reconnects.',
    'info The database is connected; listening to 1 channel.',
    'warn The event log cannot be read: nothing listens. Is it running?',
  ])
})

it('a failure of another part is not reported if the database was down and is back within the second', () => {
  connected()
  lostLog(AWAY)
  observe({ type: 'database.lost', message: 'closed', channels: 1 })
  vi.advanceTimersByTime(500)
  connected()
  vi.advanceTimersByTime(5000)
  expect(said).toEqual([
    'warn The database connection was lost: closed. Subscribers stay connected and get a gap; the server reconnects.',
    'info The database is connected; listening to 1 channel.',
  ])
})

it('the connection that reads the log decides if there is no LISTEN connection', () => {
  const reached = () => observe({ type: 'database.reached' })
  const away = 'warn The database cannot be reached: nothing listens. Is it running? The server keeps trying.'
  const denied = 'warn The event log cannot be read: permission denied for function pull.'
  lostLog(AWAY)
  reached()
  expect(said.splice(0)).toEqual([away, 'info The database is connected.'])
  for (let attempt = 0; attempt < 5; attempt++) {
    lostLog(DENIED)
    reached()
  }
  expect(said.splice(0)).toEqual([denied])
  for (let outage = 0; outage < 2; outage++) {
    for (let attempt = 0; attempt < 5; attempt++) lostLog(AWAY)
    reached()
  }
  expect(said).toEqual([away, 'info The database is connected.', away, 'info The database is connected.'])
})

it('a failure of one part is reported at once and once, and again after a while or after another failure', () => {
  const denied = 'warn The event log cannot be read: permission denied for function pull.'
  connected()
  for (let attempt = 0; attempt < 5; attempt++) lostLog(DENIED)
  expect(said).toEqual([denied])
  vi.advanceTimersByTime(601_000)
  lostLog(DENIED)
  expect(said).toEqual([denied, denied])
  unreachable(1)
  connected()
  lostLog(DENIED)
  expect(said.filter(line => line === denied)).toHaveLength(3)
})

it('the parts are reported separately', () => {
  connected()
  lostLog(DENIED)
  observe({ type: 'rights.failed', ...DENIED })
  lostLog(DENIED)
  expect(said).toHaveLength(2)
})
