import { parse, validate } from 'graphql'
import { expect, it } from 'vitest'
import { buildSchema } from '../../schema/index.js'
import { ANONYMOUS } from '../../src/auth/viewer.js'
import { createEngine } from '../../src/graphql/engine.js'
import { createClientErrors } from '../../src/graphql/errors.js'
import { ListenqlError } from '../../src/lib/errors.js'
import type { Observation } from '../../src/lib/observation.js'
import { PLAIN } from '../support/cursors.js'
import { createFakeContext, table } from '../support/watched-tables.js'

it('a client that leaves while cursors wait for the database is no fault of the server', async () => {
  const observed: Observation[] = []
  const schema = buildSchema({ tables: [table('people')] })
  const engine = createEngine({
    getEnveloped: () => ({ schema, parse: source => parse(source), validate }),
    contextFor: () => ({ ...createFakeContext().context, opensSources: true }),
    toClientError: createClientErrors(observation => void observed.push(observation)),
    schemaState: { isKnown: true, known: Promise.resolve(), unreached: () => undefined },
    cursors: {
      ...PLAIN,
      ready: signal =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    },
  })
  const left = new AbortController()
  const query = 'subscription { peopleChanged { operation } }'
  const prepared = await engine.prepare({ viewer: ANONYMOUS, query }, left.signal)
  if (prepared.kind !== 'subscription') throw new Error(JSON.stringify(prepared))
  const subscribed = prepared.subscribe()
  await new Promise(resolve => setImmediate(resolve))
  left.abort()
  expect(await subscribed).toEqual({ errors: [] })
  expect(observed).toEqual([])
})

it('a subscription that cannot be checked against a new schema because the database is away ends with DATABASE_FAILED', async () => {
  let schema = buildSchema({ tables: [table('people')] })
  let live = createFakeContext().context.live
  const engine = createEngine({
    getEnveloped: () => ({ schema, parse: source => parse(source), validate }),
    contextFor: () => ({ ...createFakeContext().context, opensSources: true, live }),
    toClientError: createClientErrors(({ type }) => expect(type).toBe('client.error')),
    schemaState: { isKnown: true, known: Promise.resolve(), unreached: () => undefined },
    cursors: { ...PLAIN, ready: () => Promise.resolve() },
  })
  const query = 'subscription { peopleAggregate { count } }'
  const prepared = await engine.prepare({ viewer: ANONYMOUS, query }, undefined)
  if (prepared.kind !== 'subscription') throw new Error(JSON.stringify(prepared))
  const subscribed = await prepared.subscribe()
  if (!('request' in subscribed)) throw new Error(JSON.stringify(subscribed))
  schema = buildSchema({ tables: [table('people'), table('teams')] })
  live = () => {
    throw new ListenqlError('DATABASE_FAILED', 'the server cannot find out what the policies read')
  }
  await expect(subscribed.request.renew()).rejects.toMatchObject({ code: 'DATABASE_FAILED' })
})
