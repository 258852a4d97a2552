import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { FeedState } from '../../../src/client/index.js'
import { TransactionTimeoutError } from '../../../src/client/tanstack-db/index.js'
import { createTransactionWaits } from '../../../src/client/tanstack-db/transaction-waits.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function create(state?: FeedState, { isReadBefore = false } = {}) {
  const readAgain = vi.fn()
  const waits = createTransactionWaits({ table: 'people', timeout: 5000, readAgain })
  const become = (next: FeedState | undefined, error?: Error) =>
    waits.become(next && ({ state: next, since: new Date(), error } as Parameters<typeof waits.become>[0]))
  become(state)
  if (isReadBefore) waits.read(waits.reading())
  return { waits, become, readAgain }
}

/** What has become of a wait. */
async function outcome(wait: Promise<void>): Promise<unknown> {
  let result: unknown = 'pending'
  wait.then(
    () => {
      result = 'in the collection'
    },
    error => {
      result = error
    },
  )
  await vi.advanceTimersByTimeAsync(0)
  return result
}

it('resolves when the transaction arrives, not when another one does', async () => {
  const { waits } = create('live')
  const wait = waits.wait('7')
  waits.arrived('8')
  expect(await outcome(wait)).toBe('pending')
  waits.arrived('7')
  expect(await outcome(wait)).toBe('in the collection')
})

it('resolves at once if the transaction has arrived, as text, number or bigint', async () => {
  const { waits } = create('live')
  waits.arrived('7')
  for (const id of ['7', 7, 7n]) expect(await outcome(waits.wait(id))).toBe('in the collection')
})

it('remembers the last 1,000 transactions', async () => {
  const { waits } = create('live')
  for (let id = 1; id <= 1001; id++) waits.arrived(String(id))
  expect(await outcome(waits.wait(2))).toBe('in the collection')
  expect(await outcome(waits.wait(1))).toBe('pending')
})

it('rejects after the time limit, and says what may be the reason', async () => {
  const { waits, readAgain } = create('live')
  const wait = waits.wait(7)
  wait.catch(() => undefined)
  await vi.advanceTimersByTimeAsync(4999)
  expect(await outcome(wait)).toBe('pending')
  await vi.advanceTimersByTimeAsync(1)
  const error = await outcome(wait)
  expect(error).toBeInstanceOf(TransactionTimeoutError)
  expect(error).toMatchObject({
    transaction: '7',
    message: expect.stringMatching(
      /^transaction 7 did not arrive in people within 5000 ms: .*`where`.*pg_current_xact_id/,
    ),
  })
  expect(readAgain).not.toHaveBeenCalled()
})

it('the time limit can be another one', async () => {
  const { waits } = create('live')
  const wait = waits.wait(7, 10)
  wait.catch(() => undefined)
  await vi.advanceTimersByTimeAsync(10)
  expect(await outcome(wait)).toBeInstanceOf(TransactionTimeoutError)
})

it('time counts only while the collection is live', async () => {
  const { waits, become } = create('live')
  const wait = waits.wait(7)
  wait.catch(() => undefined)
  become('offline')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await outcome(wait)).toBe('pending')
  become('live')
  await vi.advanceTimersByTimeAsync(4999)
  expect(await outcome(wait)).toBe('pending')
  await vi.advanceTimersByTimeAsync(1)
  expect(await outcome(wait)).toBeInstanceOf(TransactionTimeoutError)
})

it('a read that begins after the commit contains the transaction', async () => {
  const { waits } = create('live')
  const wait = waits.wait(7)
  waits.read(waits.reading())
  expect(await outcome(wait)).toBe('in the collection')
})

it('a read that began before may lack the transaction: without an event, the rows are read once more', async () => {
  const { waits, become, readAgain } = create('loading')
  const first = waits.reading()
  const wait = waits.wait(7)
  waits.read(first)
  become('live')
  expect(await outcome(wait)).toBe('pending')
  await vi.advanceTimersByTimeAsync(300)
  expect(readAgain).toHaveBeenCalledTimes(1)
  waits.read(waits.reading())
  expect(await outcome(wait)).toBe('in the collection')
})

it('the same holds if the answer of the writer is later than the rows', async () => {
  const { waits, readAgain } = create('live', { isReadBefore: true })
  const wait = waits.wait(7)
  await vi.advanceTimersByTimeAsync(300)
  expect(readAgain).toHaveBeenCalledTimes(1)
  waits.read(waits.reading())
  expect(await outcome(wait)).toBe('in the collection')
})

it('long after a read, the transaction cannot be in its rows: they are not read again', async () => {
  const { waits, readAgain } = create('live', { isReadBefore: true })
  await vi.advanceTimersByTimeAsync(30_000)
  const wait = waits.wait(7)
  wait.catch(() => undefined)
  await vi.advanceTimersByTimeAsync(5000)
  expect(await outcome(wait)).toBeInstanceOf(TransactionTimeoutError)
  expect(readAgain).not.toHaveBeenCalled()
})

it('if the second read does not come, the time limit holds', async () => {
  const { waits, readAgain } = create('live', { isReadBefore: true })
  const wait = waits.wait(7)
  wait.catch(() => undefined)
  await vi.advanceTimersByTimeAsync(6000)
  expect(await outcome(wait)).toBeInstanceOf(TransactionTimeoutError)
  expect(readAgain).toHaveBeenCalledTimes(1)
})

it('rejects with the error of the subscription, also later', async () => {
  const { waits, become } = create('live')
  const wait = waits.wait(7)
  wait.catch(() => undefined)
  const error = new Error('no right')
  become('failed', error)
  expect(await outcome(wait)).toBe(error)
  expect(await outcome(waits.wait(8))).toBe(error)
  become('closed')
  expect(await outcome(waits.wait(8))).toMatchObject({
    message: 'the client of the collection people was disposed of',
  })
})

it('resolves when nothing is synchronised: there is nothing to wait for', async () => {
  const { waits, become } = create()
  expect(await outcome(waits.wait(7))).toBe('in the collection')
  become('live')
  const wait = waits.wait(8)
  become(undefined)
  expect(await outcome(wait)).toBe('in the collection')
})

it.each([[undefined], [null], [''], ['x'], [{ xid: '7' }], [1.5]])('refuses %j', async given => {
  const { waits } = create('live')
  await expect(waits.wait(given)).rejects.toThrow(
    /is no transaction id: let the writer return pg_current_xact_id\(\)::text/,
  )
})
