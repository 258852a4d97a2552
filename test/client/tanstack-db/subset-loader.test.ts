import {
  createCollection,
  createLiveQueryCollection,
  eq,
  gt,
  type InitialQueryBuilder,
  inArray,
  upper,
} from '@tanstack/db'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Filter, listenqlCollectionOptions } from '../../../src/client/tanstack-db/index.js'
import { createScriptedClient, type ScriptedSubscription } from '../../support/scripted-rows.js'

interface Task {
  id: number
  list: number
  done: boolean
}

const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
})

function create(where?: Filter) {
  const client = createScriptedClient()
  const tasks = createCollection(
    listenqlCollectionOptions<Task>({
      client,
      table: 'people',
      columns: ['list', 'done'],
      syncMode: 'on-demand',
      ...(where && { where }),
    }),
  )
  ended.push(() => tasks.cleanup())
  /** A live query of some tasks. */
  function query(narrow: (q: ReturnType<typeof all>) => { readonly orderBy: unknown }) {
    const live = createLiveQueryCollection({
      startSync: true,
      query: q => narrow(all(q)) as ReturnType<typeof all>,
    })
    ended.push(() => live.cleanup())
    const states: string[] = []
    live.subscribeChanges(() => states.push(ids()))
    const ids = () =>
      live.toArray
        .map(({ id }) => id)
        .sort()
        .join(' ')
    return { live, states, ids }
  }
  const all = (q: InitialQueryBuilder) => q.from({ task: tasks })
  const list = (...lists: readonly number[]) =>
    query(q =>
      q.where(({ task }) => (lists.length === 1 ? eq(task.list, lists[0]) : inArray(task.list, [...lists]))),
    )
  return { client, tasks, query, list }
}

const task = (id: number, list: number, done = false) => ({ key: { id }, row: { id, list, done } })

function deliver(subscription: ScriptedSubscription, ...tasks: readonly ReturnType<typeof task>[]) {
  for (const each of tasks) subscription.change('READ', each)
  subscription.change('READY')
}

const whereOf = ({ payload }: ScriptedSubscription) => payload.variables?.where

describe('what is loaded', () => {
  it('nothing without a live query; the collection is ready, and no transaction is waited for', async () => {
    const { client, tasks } = create()
    await tasks.preload()
    expect(client.subscriptions).toEqual([])
    expect(tasks.status).toBe('ready')
    await tasks.utils.awaitTransaction('7')
  })

  it('the rows that the predicate of a live query selects', async () => {
    const { client, list } = create()
    const { live, ids } = list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    expect(whereOf(client.last)).toEqual({ list: { eq: 1 } })
    const loaded = live.preload()
    deliver(client.last, task(1, 1))
    await loaded
    expect(ids()).toBe('1')
    client.last.change('INSERT', { ...task(2, 1), transaction: '7' })
    await vi.waitUntil(() => ids() === '1 2')
  })

  it('within the `where` of the collection', async () => {
    const { client, list } = create({ done: { eq: false } })
    list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    expect(whereOf(client.last)).toEqual({ and: [{ done: { eq: false } }, { list: { eq: 1 } }] })
  })

  it('all rows if the predicate cannot be translated', async () => {
    const { client, query } = create()
    query(q => q.where(({ task }) => eq(upper(task.list as unknown as string), 'A')))
    await vi.waitUntil(() => client.subscriptions.length === 1)
    expect(client.last.payload.query).not.toContain('where')
  })

  it('more rows than a page: order and limit are applied to all rows that match', async () => {
    const { client, query } = create()
    const { live, ids } = query(q =>
      q
        .where(({ task }) => gt(task.list, 1))
        .orderBy(({ task }) => task.id, 'desc')
        .limit(2),
    )
    await vi.waitUntil(() => client.subscriptions.length === 1)
    const loaded = live.preload()
    deliver(client.last, task(1, 2), task(2, 2), task(3, 2))
    await loaded
    expect(ids()).toBe('2 3')
  })
})

describe('a further live query', () => {
  it('opens the union, which takes the place of the former subscription when its rows are there', async () => {
    const { client, list } = create()
    const first = list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    const [former] = client.subscriptions as [ScriptedSubscription]
    deliver(former, task(1, 1))
    const second = list(2)
    await vi.waitUntil(() => client.subscriptions.length === 2)
    expect(whereOf(client.last)).toEqual({ list: { in: [1, 2] } })
    former.change('INSERT', { ...task(5, 1), transaction: '7' })
    await vi.waitUntil(() => first.ids() === '1 5')
    expect(former.hasLeft).toBe(false)
    deliver(client.last, task(1, 1), task(2, 2), task(5, 1))
    await vi.waitUntil(() => second.ids() === '2')
    expect(former.hasLeft).toBe(true)
    expect(first.states).not.toContain('')
    expect(first.ids()).toBe('1 5')
  })

  it('that asks for the same rows opens nothing', async () => {
    const { client, list } = create()
    list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    deliver(client.last, task(1, 1))
    const again = list(1)
    await again.live.preload()
    expect(again.ids()).toBe('1')
    expect(client.subscriptions.length).toBe(1)
  })

  it('shows a row that moves from one to the other at every moment in exactly one', async () => {
    const { client, tasks, list } = create()
    list(1)
    list(2)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    deliver(client.last, task(1, 1))
    const present: boolean[] = []
    tasks.subscribeChanges(() => present.push(tasks.has(1)))
    client.last.change('UPDATE', { ...task(1, 2), transaction: '7' })
    await vi.waitUntil(() => tasks.get(1)?.list === 2)
    expect(present).not.toContain(false)
  })

  it('drops what is no longer asked for', async () => {
    const { client, tasks, list } = create()
    const first = list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    deliver(client.last, task(1, 1))
    await first.live.cleanup()
    list(2)
    await vi.waitUntil(() => client.subscriptions.length === 2)
    expect(whereOf(client.last)).toEqual({ list: { eq: 2 } })
    deliver(client.last, task(2, 2))
    await vi.waitUntil(() => tasks.has(2))
    expect([...tasks.keys()]).toEqual([2])
  })

  it('while the union loads waits for the next one', async () => {
    const { client, list } = create()
    list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    const second = list(2)
    expect(client.subscriptions.length).toBe(1)
    deliver(client.last, task(1, 1))
    await vi.waitUntil(() => client.subscriptions.length === 2)
    deliver(client.last, task(1, 1), task(2, 2))
    await vi.waitUntil(() => second.ids() === '2')
  })
})

describe('a refusal', () => {
  it('of a union loads all rows', async () => {
    const { client, list } = create({ done: { eq: false } })
    const { ids } = list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    client.last.error('FILTER_INVALID')
    await vi.waitUntil(() => client.subscriptions.length === 2)
    expect(whereOf(client.last)).toEqual({ done: { eq: false } })
    deliver(client.last, task(1, 1), task(2, 2))
    await vi.waitUntil(() => ids() === '1')
  })

  it('of all rows leaves the former subscription, and the error is the first one', async () => {
    const { client, tasks, list } = create()
    const first = list(1)
    await vi.waitUntil(() => client.subscriptions.length === 1)
    const [former] = client.subscriptions as [ScriptedSubscription]
    deliver(former, task(1, 1))
    const loaded = list(2).live.preload()
    loaded.catch(() => undefined)
    await vi.waitUntil(() => client.subscriptions.length === 2)
    client.last.error('FILTER_INVALID')
    await vi.waitUntil(() => client.subscriptions.length === 3)
    client.last.error('LIMIT_EXCEEDED', { limit: 'maxRows' })
    await expect(loaded).rejects.toThrow('FILTER_INVALID')
    former.change('INSERT', { ...task(5, 1), transaction: '7' })
    await vi.waitUntil(() => first.ids() === '1 5')
    expect(tasks.utils.status()?.state).toBe('live')
  })
})
