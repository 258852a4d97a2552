import { expect, it } from 'vitest'
import { LogHealth } from '../../src/log/log-health.js'
import type { LogTroubles } from '../../src/log/log-troubles.js'
import { endOfBatch } from '../../src/log/position.js'
import type { Query } from '../../src/postgres/queryable.js'

const POSITION = endOfBatch({ n: 7, token: 1 })
const query: Query = async () => []

/** The health of a log, and the troubles that it reports. */
function createTested() {
  const said: string[] = []
  const troubles: LogTroubles = {
    lost: async () => undefined,
    topicAfter: async position => `table after batch ${position.n}`,
    stalled: (position, topic, reason) =>
      void said.push(`stalled at batch ${position?.n}, ${topic}: ${reason}`),
    recovered: () => void said.push('goes on'),
    note: async () => void said.push('noted'),
    isNoted: false,
    stall: undefined,
  }
  const health = new LogHealth(troubles)
  return {
    health,
    said,
    /** A session that connects and fails before it has passed a page. */
    async fail() {
      health.left()
      await health.connected(POSITION, query)
      health.failed('a damaged page', POSITION)
    },
  }
}

it('three consecutive failures at one position stall the log, and the third names the topic', async () => {
  const { health, said, fail } = createTested()
  await fail()
  await fail()
  expect([health.state, health.isCautious, said]).toEqual(['away', false, []])
  await fail()
  expect([health.state, health.isCautious]).toEqual(['stalled', true])
  expect(said).toEqual(['stalled at batch 7, table after batch 7: a damaged page'])
})

it('a log stays stalled while a session connects and pulls, until a page has passed', async () => {
  const { health, said, fail } = createTested()
  for (let i = 0; i < 3; i++) await fail()
  health.left()
  await health.connected(POSITION, query)
  health.pulled()
  expect(health.state).toBe('stalled')
  health.passed(false)
  expect([health.state, health.isCautious, health.failures]).toEqual(['followed', true, 0])
  health.passed(true)
  expect(health.isCautious).toBe(false)
  expect(said.slice(1)).toEqual(['noted', 'goes on'])
})

it('attempts that do not connect are no failures of the log, and a page between failures resets the count', async () => {
  const { health, fail } = createTested()
  for (let i = 0; i < 9; i++) {
    health.left()
    health.failed('the database is down', POSITION)
  }
  for (let i = 0; i < 9; i++) {
    await fail()
    await fail()
    health.left()
    await health.connected(POSITION, query)
    health.pulled()
    health.passed(true)
  }
  expect([health.state, health.failures]).toEqual(['followed', 0])
})

it('the health is "absent" while the database has no log, and "away" between sessions', () => {
  const { health } = createTested()
  expect(health.state).toBe('away')
  health.absent()
  expect(health.state).toBe('absent')
  health.left()
  expect(health.state).toBe('away')
})
