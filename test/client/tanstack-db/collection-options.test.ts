import {
  type Collection,
  collectionOptions,
  createCollection,
  createLiveQueryCollection,
  DbClient,
} from '@tanstack/db'
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import {
  type ListenqlCollectionConfig,
  type ListenqlCollectionUtils,
  listenqlCollectionOptions,
} from '../../../src/client/tanstack-db/index.js'
import { createScriptedClient } from '../../support/scripted-rows.js'

interface Person {
  id: number
  name?: string
}

const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
})

function create(more: Partial<ListenqlCollectionConfig<Person>> = {}) {
  const client = createScriptedClient()
  const people = createCollection(
    listenqlCollectionOptions<Person>({
      client,
      table: 'people',
      columns: ['name'],
      startSync: true,
      ...more,
    }),
  )
  ended.push(() => people.cleanup())
  return { client, people }
}

function texts(people: Collection<Person, string | number, ListenqlCollectionUtils>): string[] {
  return people.toArray.map(({ id, name }) => `${id}${name ?? ''}`).sort()
}

/** Records what a live query shows after each of its changes. */
function record(people: Collection<Person, string | number, ListenqlCollectionUtils>) {
  const live = createLiveQueryCollection({ startSync: true, query: q => q.from({ people }) })
  ended.push(() => live.cleanup())
  const states: string[] = []
  live.subscribeChanges(() =>
    states.push(
      live.toArray
        .map(({ id, name }) => `${id}${name ?? ''}`)
        .sort()
        .join(' '),
    ),
  )
  return states
}

const person = (id: number, name?: string) => ({ key: { id }, row: { id, name } })

describe('the subscription', () => {
  it('selects the key, the columns and the transaction', () => {
    const { client } = create()
    expect(client.last.payload.query.replace(/\s+/g, ' ')).toBe(
      'subscription { peopleChanged(initial: true) { operation key { id } row { id name } transaction } }',
    )
    expect(client.last.payload.variables).toBeUndefined()
  })

  it('has the filter as a variable', () => {
    const { client } = create({ where: { name: { eq: 'a' } } })
    expect(client.last.payload.query).toContain('($where: PeopleFilter)')
    expect(client.last.payload.query).toContain('peopleChanged(initial: true, where: $where)')
    expect(client.last.payload.variables).toEqual({ where: { name: { eq: 'a' } } })
  })

  it.each([
    ['chatMessages', undefined, 'ChatMessagesFilter'],
    ['_2fa', undefined, '_2faFilter'],
    ['_x', undefined, '_XFilter'],
    ['people', 'PersonFilter', 'PersonFilter'],
  ])('of %s has a filter of type %s %s', (table, filterType, expected) => {
    const { client } = create({ table, where: {}, ...(filterType && { filterType }) })
    expect(client.last.payload.query).toContain(`($where: ${expected})`)
  })

  it.each([
    [{ table: 'chat.messages' }],
    [{ columns: ['user-id'] as unknown as ['name'] }],
    [{ key: '' as 'id' }],
    [{ filterType: 'People}' }],
  ])('a name that is not of GraphQL is refused at once: %j', config => {
    expect(() => create(config)).toThrow(/^".*" is no name in GraphQL: write it as in the schema/)
  })
})

describe('rows and changes', () => {
  it('the collection is ready with the rows, and follows each transaction as a whole', async () => {
    const { client, people } = create()
    const states = record(people)
    expect(people.status).toBe('loading')
    client.last.rows(1, 2)
    expect(people.status).toBe('ready')
    const before = states.length
    client.last.change('UPDATE', { ...person(1, 'a'), transaction: '7' })
    client.last.change('DELETE', { key: { id: 2 }, transaction: '7' })
    client.last.change('INSERT', { ...person(3, 'c'), transaction: '7' })
    client.last.change('INSERT', { ...person(4), transaction: '8' })
    client.last.change('DELETE', { key: { id: 4 }, transaction: '9' })
    await vi.waitUntil(() => states.length === before + 3)
    expect(states.slice(before)).toEqual(['1a 3c', '1a 3c 4', '1a 3c'])
  })

  it('a row that leaves the filter is removed, and one that was never there too', async () => {
    const { client, people } = create()
    client.last.rows(1)
    client.last.change('UPDATE', { key: { id: 1 }, transaction: '7' })
    client.last.change('UPDATE', { key: { id: 5 }, transaction: '7' })
    await vi.waitUntil(() => people.size === 0)
  })

  it('TRUNCATE clears the collection within its transaction', async () => {
    const { client, people } = create()
    const states = record(people)
    client.last.rows(1, 2)
    const before = states.length
    client.last.change('INSERT', { ...person(3), transaction: '7' })
    client.last.change('TRUNCATE', { transaction: '7' })
    client.last.change('INSERT', { ...person(2, 'b'), transaction: '7' })
    await vi.waitUntil(() => states.length > before)
    expect(states.slice(before)).toEqual(['2b'])
    client.last.change('UPDATE', { ...person(2, 'B'), transaction: '8' })
    await vi.waitUntil(() => texts(people).join() === '2B')
  })

  it('after RESET, the rows stay until the new ones are there, and those that did not change cause no event', async () => {
    const { client, people } = create()
    client.last.rows(1, 2)
    const events: unknown[] = []
    people.subscribeChanges(changes => events.push(changes.map(({ type, key }) => `${type} ${key}`)), {
      includeInitialState: true,
    })
    events.length = 0
    client.last.change('RESET')
    expect(texts(people)).toEqual(['1', '2'])
    expect(people.utils.status()?.state).toBe('catching-up')
    client.last.rows(2, 3)
    expect(texts(people)).toEqual(['2', '3'])
    expect(events).toEqual([['delete 1', 'insert 3']])
    expect(people.utils.status()?.state).toBe('live')
  })

  it('several key columns are one key', async () => {
    const client = createScriptedClient()
    const seats = createCollection(
      listenqlCollectionOptions<{ row: string; number: number; guest: string }>({
        client,
        table: 'people',
        key: ['row', 'number'],
        columns: ['guest'],
        startSync: true,
      }),
    )
    ended.push(() => seats.cleanup())
    client.last.change('READ', { key: { row: 'A', number: 1 }, row: { row: 'A', number: 1, guest: 'x' } })
    client.last.change('READY')
    expect(seats.get('["A",1]')?.guest).toBe('x')
    client.last.change('DELETE', { key: { row: 'A', number: 1 }, transaction: '7' })
    await vi.waitUntil(() => seats.size === 0)
  })

  it('an error of a listener does not end the subscription', async () => {
    const { client, people } = create()
    client.last.rows()
    const uncaught = vi.fn()
    const handlers = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', uncaught)
    try {
      people.subscribeChanges(() => {
        throw new Error('of the application')
      })
      client.last.change('INSERT', { ...person(1), transaction: '7' })
      await vi.waitUntil(() => uncaught.mock.calls.length > 0)
    } finally {
      for (const handler of handlers) process.on('uncaughtException', handler)
    }
    expect(uncaught.mock.calls[0]?.[0]).toMatchObject({ message: 'of the application' })
    expect(texts(people)).toEqual(['1'])
    expect(people.utils.status()?.state).toBe('live')
  })
})

describe('errors', () => {
  it('an error before the rows is that of the collection, and refetch recovers', async () => {
    const { client, people } = create()
    const loaded = people.preload()
    client.last.error('FORBIDDEN')
    await expect(loaded).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(people.status).toBe('error')
    people.utils.refetch()
    client.last.rows(1)
    expect(people.status).toBe('ready')
    expect(texts(people)).toEqual(['1'])
  })

  it('an error afterwards leaves the rows, and the status tells it', () => {
    const { client, people } = create()
    client.last.rows(1)
    const states: unknown[] = []
    const leave = people.utils.onStatus(() => states.push(people.utils.status()?.state))
    client.last.sink.interrupted()
    client.last.sink.accepted()
    client.last.error('FORBIDDEN')
    leave()
    people.utils.refetch()
    expect(states).toEqual(['offline', 'live', 'failed'])
    expect(people.status).toBe('ready')
    expect(texts(people)).toEqual(['1'])
  })

  it('a client that is disposed of before the rows is an error', async () => {
    const { client, people } = create()
    const loaded = people.preload()
    client.last.sink.complete()
    await expect(loaded).rejects.toThrow('the client of the collection people was disposed of')
  })
})

describe('awaitTransaction', () => {
  it('ends an optimistic change in the same moment in which the change arrives', async () => {
    let written = () => {}
    const { client, people } = create({
      onInsert: async ({ collection }) => {
        await new Promise<void>(resolve => {
          written = resolve
        })
        await collection.utils.awaitTransaction('7')
      },
    })
    const states = record(people)
    client.last.rows(1)
    const before = states.length
    const { isPersisted } = people.insert({ id: -1, name: 'new' })
    // Others write meanwhile, and the server gives the row another key and another name.
    client.last.change('UPDATE', { ...person(1, 'other'), transaction: '6' })
    written()
    client.last.change('INSERT', { ...person(2, 'NEW'), transaction: '7' })
    await isPersisted.promise
    expect(states.slice(before)).toEqual(['-1new 1', '1other 2NEW'])
  })

  it('a change that has not arrived in time is rolled back', async () => {
    const { client, people } = create({
      timeout: 1,
      onInsert: ({ collection }) => collection.utils.awaitTransaction('7'),
    })
    client.last.rows(1)
    client.last.change('INSERT', { ...person(3), transaction: '6' })
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
    ended.push(() => vi.useRealTimers())
    const { isPersisted } = people.insert({ id: 2 })
    await expect(isPersisted.promise).rejects.toMatchObject({
      name: 'TransactionTimeoutError',
      transaction: '7',
    })
    await expect.poll(() => texts(people)).toEqual(['1', '3'])
  })

  it('rows that are read after the commit end an optimistic change, too', async () => {
    const { client, people } = create({
      onInsert: ({ collection }) => collection.utils.awaitTransaction('7'),
    })
    const states = record(people)
    client.last.rows(1)
    const before = states.length
    const { isPersisted } = people.insert({ id: 2 })
    people.utils.refetch()
    client.last.rows(1, 2)
    await isPersisted.promise
    expect(new Set(states.slice(before))).toEqual(new Set(['1 2']))
  })
})

describe('the life of a collection', () => {
  it('cleanup unsubscribes, and a further use reads the rows again', async () => {
    const { client, people } = create()
    client.last.rows(1)
    const first = client.last
    await people.cleanup()
    expect(first.hasLeft).toBe(true)
    expect(people.utils.status()).toBeUndefined()
    await people.utils.awaitTransaction('7')
    const loaded = people.preload()
    expect(client.subscriptions.length).toBe(2)
    client.last.rows(2)
    await loaded
    expect(texts(people)).toEqual(['2'])
  })
})

describe('the options of a DbClient', () => {
  const describePeople = (syncMode: 'eager' | 'on-demand' = 'eager') => {
    const client = createScriptedClient()
    const config = {
      client,
      id: 'people',
      table: 'people',
      columns: ['name'],
      startSync: true,
      syncMode,
    } as const
    return { client, options: collectionOptions(listenqlCollectionOptions<Person>({ ...config })) }
  }
  function materialize(options: ReturnType<typeof describePeople>['options'], initialData: Person[]) {
    const people = new DbClient().collection(options, { initialData })
    ended.push(() => people.cleanup())
    return people
  }

  it('make a collection of its own for each', () => {
    const { client, options } = describePeople()
    const people = [materialize(options, []), materialize(options, [])]
    expect(client.subscriptions.length).toBe(2)
    client.last.rows(1)
    expect(people.map(({ status }) => status)).toEqual(['loading', 'ready'])
    expect(people.map(({ utils }) => utils.status()?.state)).toEqual(['loading', 'live'])
  })

  it.each(['eager', 'on-demand'] as const)(
    'rows from the server that rendered the page are replaced: %s',
    async mode => {
      const { client, options } = describePeople(mode)
      const people = materialize(options, [{ id: 1 }, { id: 2, name: 'former' }])
      const states = record(people)
      await vi.waitUntil(() => client.subscriptions.length === 1)
      expect([...people.keys()]).toEqual([1, 2])
      client.last.rows(2, 3)
      await vi.waitUntil(() => states.at(-1) === '2 3')
      expect(texts(people)).toEqual(['2', '3'])
      expect(states).not.toContain('')
    },
  )
})

it('the rows have the type that is given, or that of the schema', () => {
  const client = createScriptedClient()
  const given = createCollection(
    listenqlCollectionOptions<Person>({ client, table: 'people', columns: ['name'] }),
  )
  expectTypeOf(given.toArray[0]).toExtend<Person | undefined>()
  // @ts-expect-error: there is no such column
  listenqlCollectionOptions<Person>({ client, table: 'people', columns: ['nam'] })
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) => ({ value: value as Person }),
      types: undefined as { input: Person; output: Person } | undefined,
    },
  }
  const inferred = createCollection(
    listenqlCollectionOptions({ client, table: 'people', columns: ['name'], schema }),
  )
  expectTypeOf(inferred.toArray[0]?.name).toEqualTypeOf<string | undefined>()
})
