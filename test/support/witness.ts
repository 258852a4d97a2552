import { expect } from 'vitest'
import { createServer, type ListenqlServer, type Observation, type ServerOptions } from '../../src/index.js'
import { payloadOf, type TestSubscription, TRANSPORTS } from './clients.js'
import type { TestDatabase } from './postgres.js'
import { waitUntil } from './wait.js'

let servers = 0

/** A server with one healthy subscriber on every transport, which other clients must not affect. */
export interface WitnessedServer extends ListenqlServer {
  /** All observations so far. */
  readonly observations: readonly Observation[]
  ofType<T extends Observation['type']>(type: T): Extract<Observation, { type: T }>[]
  /** Publishes a few events, and expects every healthy subscriber to receive each of them, in order, and nothing else. */
  expectHealthy(): Promise<void>
  /** Expects that all other subscribers have left, that their channels are released, and that no unexpected fault occurred. */
  expectNothingLeft(): Promise<void>
  /** Ends the healthy subscribers too, and closes the server. */
  close(): Promise<void>
}

export async function startWitnessed(
  database: Pick<TestDatabase, 'url' | 'query'>,
  options: ServerOptions = {},
): Promise<WitnessedServer> {
  const witness = `witness ${++servers}` // A channel that only healthy subscribers listen to.
  const observations: Observation[] = []
  const server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    ...options,
    observe: observation => observations.push(observation),
  })
  const ofType = <T extends Observation['type']>(type: T) =>
    observations.filter((one): one is Extract<Observation, { type: T }> => one.type === type)
  const witnesses: TestSubscription[] = await Promise.all(
    Object.values(TRANSPORTS).map(subscribe => subscribe(server.url, witness)),
  )
  let ended = false
  for (const { ended: end } of witnesses) {
    void end.then(() => {
      ended = true
    })
  }
  let sent = 0
  let faultsSeen = 0
  const blamed = new Set<string>()

  async function expectHealthy(): Promise<void> {
    const expected = Array.from({ length: 5 }, () => `event ${++sent}`)
    for (const payload of expected) await database.query('select pg_notify($1, $2)', [witness, payload])
    for (const { results } of witnesses) {
      expect(
        (await results.take(expected.length, 'an event of a healthy subscriber')).map(payloadOf),
      ).toEqual(expected)
    }
    expect(ended).toBe(false)
  }

  async function expectNothingLeft(): Promise<void> {
    const left = () => {
      const topics = new Map<string, number>()
      for (const one of observations) {
        if (one.type === 'subscriber.joined' && one.topic !== witness)
          topics.set(`subscriber of ${one.topic}`, (topics.get(`subscriber of ${one.topic}`) ?? 0) + 1)
        if (one.type === 'subscriber.left' && one.topic !== witness)
          topics.set(`subscriber of ${one.topic}`, (topics.get(`subscriber of ${one.topic}`) ?? 0) - 1)
        // The server listens to its own channels permanently.
        if (
          one.type === 'channel.listening' &&
          one.channel !== witness &&
          !one.channel.startsWith('listenql')
        )
          topics.set(`channel ${one.channel}`, 1)
        if (one.type === 'channel.released') topics.set(`channel ${one.channel}`, 0)
      }
      return [...topics]
        .filter(([, count]) => count !== 0)
        .map(([topic]) => topic)
        .filter(topic => !blamed.has(topic))
    }
    await waitUntil(() => left().length === 0, 'everybody to leave', 5000).catch(() => undefined)
    // Leftovers and faults fail the test that caused them, and no later test.
    const leftover = left()
    for (const topic of leftover) blamed.add(topic)
    const faults = ofType('fault').slice(faultsSeen)
    faultsSeen += faults.length
    expect({ leftover, faults }).toEqual({ leftover: [], faults: [] })
  }

  let closed: Promise<void> | undefined
  return {
    ...server,
    observations,
    ofType,
    expectHealthy,
    expectNothingLeft,
    close() {
      closed ??= (async () => {
        for (const { close } of witnesses) await close()
        await server.close()
      })()
      return closed
    },
  }
}
