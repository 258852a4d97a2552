import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { ListenqlError } from '../../../../src/lib/errors.js'
import type { Position } from '../../../../src/log/position.js'
import { createWindow } from '../../../../src/sources/tables/pace/window.js'
import { createWindowBudget } from '../../../../src/sources/tables/pace/window-budget.js'
import type { RowChange } from '../../../../src/sources/tables/row-change.js'
import { change, column, image, table } from '../../../support/watched-tables.js'

const PEOPLE = table('people', [column('id', 'int4', { notNull: true }), column('v')])
const at = (id: number): Position => ({ n: 1, token: 1, ord: 1, statement: 1, id })
const EVERY_MS = 100

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function createTested(budget = createWindowBudget()) {
  const got: string[] = []
  let position = at(0)
  const window = createWindow({
    every: EVERY_MS,
    key: PEOPLE.key,
    wantsUpdate: true,
    mayHaveRows: false,
    budget,
    runSliced: task => task(),
    position: () => position,
    follower: {
      event: ({ operation, position: { id }, key }) => got.push(`${operation} ${key?.get('id')} @${id}`),
      end: ({ code }) => got.push(code),
    },
  })
  /** Dispatches a change of a row, as the log does: the position moves after the event. */
  const send = (place: number, operation: RowChange['operation'], id: number, v = '') => {
    const row = image(PEOPLE, JSON.stringify({ id, v }))
    window.follower.event(change(operation, { position: at(place), key: row, row, old: null }))
    position = at(place)
  }
  return {
    got,
    window,
    send,
    moveTo: (place: number) => {
      position = at(place)
    },
  }
}

it('delivers the folded changes when the window that the first of them has begun is over', () => {
  const { got, window, send } = createTested()
  vi.advanceTimersByTime(10 * EVERY_MS)
  send(1, 'INSERT', 1)
  expect(window.deliveredTo).toEqual(at(0))
  vi.advanceTimersByTime(EVERY_MS - 1)
  send(2, 'UPDATE', 1)
  send(3, 'UPDATE', 2)
  expect(got).toEqual([])
  vi.advanceTimersByTime(1)
  expect(got).toEqual(['INSERT 1 @2', 'UPDATE 2 @3'])
  expect(window.deliveredTo).toBeUndefined()
  send(4, 'UPDATE', 2)
  vi.advanceTimersByTime(EVERY_MS)
  expect(got.slice(2)).toEqual(['UPDATE 2 @4'])
})

it('does not fold changes before and after a position at which a subscriber joins', () => {
  const { got, window, send } = createTested()
  send(1, 'INSERT', 1)
  window.split(at(1))
  window.split(at(1))
  send(2, 'UPDATE', 1)
  vi.advanceTimersByTime(EVERY_MS)
  expect(got.splice(0)).toEqual(['INSERT 1 @1', 'UPDATE 1 @2'])
  window.split(at(4)) // ahead of the live changes
  window.split(at(2))
  send(3, 'INSERT', 2)
  send(4, 'UPDATE', 2)
  send(5, 'UPDATE', 2)
  vi.advanceTimersByTime(EVERY_MS)
  expect(got.splice(0)).toEqual(['INSERT 2 @4', 'UPDATE 2 @5'])
  send(6, 'INSERT', 3)
  send(7, 'UPDATE', 3)
  vi.advanceTimersByTime(EVERY_MS)
  expect(got).toEqual(['INSERT 3 @7'])
})

it('delivers early what has too many rows or characters', () => {
  const { got, send } = createTested()
  for (let id = 1; id <= 5001; id++) send(id, 'INSERT', id)
  expect(got.length).toBe(5001)
  send(5002, 'INSERT', 1, 'x'.repeat(5 * 2 ** 20))
  expect(got.length).toBe(5002)
})

it('delivers early when all windows together hold too much', () => {
  const budget = createWindowBudget(1000)
  const [one, other] = [createTested(budget), createTested(budget)]
  one.send(1, 'INSERT', 1)
  one.send(2, 'INSERT', 2)
  other.send(1, 'INSERT', 1)
  expect([one.got.length, other.got.length]).toEqual([0, 1])
  vi.advanceTimersByTime(EVERY_MS)
  other.send(2, 'INSERT', 2) // there is room again
  expect([one.got.length, other.got.length]).toEqual([2, 1])
})

it('drops what it holds when the viewer has lost the right', () => {
  const { got, window, send } = createTested()
  send(1, 'INSERT', 1)
  window.follower.end(new ListenqlError('FORBIDDEN', ''))
  vi.advanceTimersByTime(EVERY_MS)
  expect(got).toEqual(['FORBIDDEN'])
})

it('delivers what it holds before the end, and drops it when it is stopped', () => {
  const { got, window, send } = createTested()
  send(1, 'INSERT', 1)
  window.follower.end(new ListenqlError('SCHEMA_CHANGED', ''))
  expect(got.splice(0)).toEqual(['INSERT 1 @1', 'SCHEMA_CHANGED'])
  send(2, 'INSERT', 1)
  window.flush()
  expect(got.splice(0)).toEqual(['INSERT 1 @2'])
  send(3, 'INSERT', 1)
  window.stop()
  vi.advanceTimersByTime(EVERY_MS)
  expect(got).toEqual([])
})
