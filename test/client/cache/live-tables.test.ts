import { parse } from 'graphql'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { documentReads } from '../../../src/client/cache/document-reads.js'
import {
  createLiveTables,
  type LiveCacheError,
  type Outdated,
} from '../../../src/client/cache/live-tables.js'
import type { RowChanges } from '../../../src/client/cache/row-changes.js'
import { tablesOf } from '../../../src/client/cache/tables-of.js'
import { demoIntrospection } from '../../support/demo-introspection.js'
import { createScriptedClient } from '../../support/scripted-rows.js'

const tables = tablesOf(demoIntrospection())
const reads = documentReads(parse('{ people(where: { age: { gt: 3 } }) { rows { pk name } } }'), {}, tables)

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Passes the silence after a transaction, and a turn. */
const silence = () => vi.advanceTimersByTimeAsync(30)
/** Passes the pause before another attempt. */
const pause = () => vi.advanceTimersByTimeAsync(12_000)

function start({ every = 0 } = {}) {
  const client = createScriptedClient()
  const written: RowChanges[] = []
  const rounds: string[] = []
  const errors: LiveCacheError[] = []
  let failing = false
  const live = createLiveTables(
    { client, tables, every, onError: error => errors.push(error) },
    {
      write: changes => void written.push(...changes),
      async readAgain({ tables: outdated, lost }: Outdated) {
        rounds.push(`${[...outdated]}${lost.size > 0 ? ` lost ${[...lost]}` : ''}`)
        if (failing) throw new Error('offline')
      },
    },
  )
  const row = (fields: object) => ({ pk: 1, name: 'Ada', age: 36, height: null, ts: null, ...fields })
  return {
    client,
    written,
    rounds,
    errors,
    live,
    fail(how: boolean) {
      failing = how
    },
    /** Delivers an UPDATE of a row. */
    update(fields: object, transaction = '1') {
      client.last.change('UPDATE', { key: { pk: 1 }, row: row(fields), old: row({}), transaction })
    },
    insert(transaction = '1') {
      client.last.change('INSERT', { key: { pk: 2 }, row: row({ pk: 2 }), old: null, transaction })
    },
    /** A request whose result has this position. */
    read(cursor?: string) {
      const request = live.sent(reads)
      request.received(cursor)
      request.ended()
    },
  }
}

/** The same, and changes arrive. */
function started(options?: { every: number }) {
  const scene = start(options)
  scene.read('a cursor')
  scene.client.last.sink.accepted()
  return scene
}

it('subscribes after the position of the first result, and reads nothing again', async () => {
  const { client, rounds, read } = started()
  expect(client.last.payload).toMatchObject({ extensions: { after: 'a cursor' } })
  expect(client.last.payload.query).toMatch(
    /^subscription \{ peopleChanged \{ operation key \{ pk \} row \{ [^}]+ \} old/,
  )
  read('another cursor')
  await silence()
  expect(client.subscriptions.length).toBe(1)
  expect(rounds).toEqual([])
})

it('without a position, reads everything again once changes arrive', async () => {
  const { client, rounds, read } = start()
  read()
  await silence()
  expect(rounds).toEqual([])
  client.last.sink.accepted()
  await silence()
  expect(rounds).toEqual(['People lost People'])
  client.last.sink.interrupted()
  client.last.sink.accepted() // resumes
  await silence()
  expect(rounds.length).toBe(1)
})

it('writes each change, and reads again after those that decide', async () => {
  const { written, rounds, update, insert } = started()
  update({ name: 'Eve' })
  await silence()
  expect([written.length, rounds]).toEqual([1, []])
  update({ age: 1 })
  await silence()
  expect([written.length, rounds]).toEqual([2, ['People']])
  insert()
  await silence()
  expect([written.length, rounds]).toEqual([3, ['People', 'People']])
})

it('several transactions at once are read once, and the next read follows after the pause', async () => {
  const { rounds, insert } = started({ every: 1_000 })
  insert('1')
  insert('2')
  await silence()
  expect(rounds.length).toBe(1)
  insert('3')
  insert('4')
  await silence()
  expect(rounds.length).toBe(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(rounds.length).toBe(2)
})

it('a result gets the changes that it may lack, and is read again if one of them decides', async () => {
  const { live, rounds, update, insert } = started()
  const one = live.sent(reads)
  update({ name: 'Eve' })
  await silence()
  expect(one.received(undefined).map(({ changes }) => changes.length)).toEqual([1])
  one.ended()
  await silence()
  expect(rounds).toEqual([])

  const other = live.sent(reads)
  insert()
  await silence()
  expect(rounds.length).toBe(1)
  const missed = other.received(undefined)
  expect(missed.length).toBe(1)
  update({ name: 'Zoe' }, '2')
  await silence()
  expect(missed.length).toBe(2) // it is not written yet
  other.ended()
  await silence()
  expect(rounds.length).toBe(2)
  expect(live.sent(reads).received(undefined)).toEqual([])
})

it('another result that was on its way when the changes began is read again', async () => {
  const { live, client, rounds, read } = start()
  const other = live.sent(reads)
  read('a cursor')
  client.last.sink.accepted()
  other.received('an older cursor')
  other.ended()
  await silence()
  expect(rounds).toEqual(['People'])
})

it('a request without a result causes nothing', async () => {
  const { live, rounds, insert } = started()
  const request = live.sent(reads)
  insert()
  await silence()
  request.ended()
  await silence()
  expect(rounds.length).toBe(1)
})

it('a result that lacks too many changes is read again instead', async () => {
  const { live, rounds, update } = started()
  const request = live.sent(reads)
  for (let i = 0; i < 10_001; i++) update({ name: String(i) }, String(i))
  await silence()
  expect(rounds).toEqual([])
  expect(request.received(undefined).length).toBeLessThan(10)
  request.ended()
  await silence()
  expect(rounds).toEqual(['People'])
})

it('tries a failed read again, with everything that it was for', async () => {
  const { client, rounds, fail, read, insert } = start()
  read()
  fail(true)
  client.last.sink.accepted()
  await silence()
  expect(rounds).toEqual(['People lost People'])
  insert()
  fail(false)
  await pause()
  expect(rounds).toEqual(['People lost People', 'People lost People'])
})

it('tries a failed read again without a further change', async () => {
  const { rounds, fail, insert } = started()
  fail(true)
  insert()
  await silence()
  expect(rounds).toEqual(['People'])
  fail(false)
  await pause()
  expect(rounds).toEqual(['People', 'People'])
})

it('after a lost position, subscribes without one, and reads everything again', async () => {
  const { client, rounds, written, update } = started()
  update({ name: 'Eve' })
  client.last.end()
  expect(written.length).toBe(1)
  update({ name: 'Bob' }, '2') // incomplete
  client.last.error('CURSOR_EXPIRED')
  expect(written.length).toBe(1)
  await pause()
  expect(client.subscriptions.length).toBe(2)
  expect((client.last.payload as { extensions?: unknown }).extensions).toEqual({ transactionEnds: true })
  expect(rounds).toEqual([])
  client.last.sink.accepted()
  await silence()
  expect(rounds).toEqual(['People lost People'])
})

it('a change that is too large to be delivered is read, and the subscription continues', async () => {
  const { client, rounds } = started()
  client.last.error('EVENT_TOO_LARGE', {}, 'instead of a change')
  await silence()
  expect(rounds).toEqual(['People lost People'])
  expect(client.subscriptions.length).toBe(1)
})

it('reports an error that would come again, and tries again with the next result', async () => {
  const { client, errors, read } = started()
  client.last.error('FORBIDDEN')
  await pause()
  expect(errors.map(({ type, code, message }) => [type, code, message])).toEqual([
    ['People', 'FORBIDDEN', 'People is not live: the error FORBIDDEN'],
  ])
  expect(client.subscriptions.length).toBe(1)
  read('a cursor')
  expect(client.subscriptions.length).toBe(2)
})

it('a closed one is silent', async () => {
  const { live, client, rounds, insert, read } = started()
  insert()
  live.close()
  expect(client.last.hasLeft).toBe(true)
  read('a cursor')
  await pause()
  expect(client.subscriptions.length).toBe(1)
  expect(rounds).toEqual([])
  live.close()
})
