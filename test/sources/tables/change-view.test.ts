import { describe, expect, it } from 'vitest'
import type { Images } from '../../../src/filters/images.js'
import { createImageReader, parseFilter, Work } from '../../../src/filters/index.js'
import type { Account } from '../../../src/lib/limits/account.js'
import { LimitExceeded } from '../../../src/lib/limits/limit-exceeded.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import { createChangeView, viewAt, viewVisible } from '../../../src/sources/tables/change-view.js'
import type { RowOperation } from '../../../src/sources/tables/row-change.js'
import { readRow, toFilter } from '../../support/small-filters.js'
import { column } from '../../support/watched-tables.js'

const position = { n: 1, token: 1, ord: 1, statement: 1, id: 1 }
const eventOf = (operation: LogEvent['operation']) =>
  ({ operation, position, at: new Date(5), transaction: '7' }) as LogEvent
const createView = (where: object, operations?: readonly RowOperation[]) =>
  createChangeView({ filter: toFilter(where), operations }, { encode: () => 'cursor' })

const one = readRow('{"a":1}')
const two = readRow('{"a":2}')
const update: Images = { row: two, old: one }
const BOTH = { operation: 'UPDATE', old: one, position, cursor: 'cursor', at: new Date(5), transaction: '7' }

describe('a view of changes', () => {
  it('has the new row if that row matches, null if only the old row matches, and is undefined if neither matches', () => {
    const change = (where: object) => createView(where).change(eventOf('U'), update, new Work())
    expect(change({ a: { eq: 2 } })).toEqual({ ...BOTH, key: two, row: two })
    expect(change({ a: { eq: 2 } })?.row).toBe(two)
    expect(change({ a: { eq: 1 } })).toEqual({ ...BOTH, key: two, row: null })
    expect(change({ a: { eq: 3 } })).toBe(undefined)
  })

  it('takes the key from the old row if there is no new row', () => {
    const view = createView({})
    const change = view.change(eventOf('D'), { row: null, old: one }, new Work())
    expect([change?.operation, change?.row]).toEqual(['DELETE', null])
    expect(change?.key).toBe(one)
    expect(change?.old).toBe(one)
    expect(view.change(eventOf('T'), { row: null, old: null }, new Work())).toMatchObject({ key: null })
  })

  it('contains only the key of a row that is no longer visible, whatever the filter', () => {
    const view = createView({ a: { eq: 3 } }, ['UPDATE'])
    const removal = view.removal(eventOf('U'), update)
    expect(removal).toMatchObject({ row: null, old: null })
    expect(removal?.key).toBe(two)
    expect(view.removal(eventOf('D'), { row: null, old: one })).toBe(undefined)
  })

  it('contains an error if the filter depends on a value that could not be read', () => {
    const columns = [column('id', 'int4'), column('v')]
    const filter = parseFilter(new Map(columns.map(each => [each.name, each])), { v: { like: 'x%' } })
    const row = createImageReader(columns)('{"id":1,"":{"v":"lost"}}')
    const view = createChangeView({ filter, operations: undefined }, { encode: () => 'cursor' })
    expect(view.change(eventOf('I'), { row, old: null }, new Work())).toMatchObject({
      operation: 'INSERT',
      key: row,
      fault: { code: 'VALUE_NOT_SHOWN' },
    })
  })
})

describe('the account of a subscriber', () => {
  function createAccount(refusal?: LimitExceeded) {
    const paid: number[] = []
    const account: Account = { refusal: () => refusal, pay: steps => void paid.push(steps) }
    return { account, paid }
  }
  const overdrawn = new LimitExceeded('filterRate', 1, 'spent')
  const view = createView({ a: { eq: 2 } })

  it('pays for each event separately, also for an event that exceeds the work limit', () => {
    const { account, paid } = createAccount()
    const work = new Work()
    viewAt(account, view, eventOf('U'), update, work)
    viewAt(account, view, eventOf('U'), update, work)
    expect(paid).toEqual([paid[0], paid[0]])
    expect(paid[0]).toBeGreaterThan(0)
    expect(() => viewAt(account, view, eventOf('U'), update, new Work(0))).toThrow(LimitExceeded)
    expect(paid.length).toBe(3)
  })

  it('refuses before any work is done, if it is overdrawn', () => {
    const { account, paid } = createAccount(overdrawn)
    expect(() => viewAt(account, view, eventOf('U'), update, new Work())).toThrow(overdrawn)
    expect(paid).toEqual([])
  })

  it('reveals nothing about hidden rows: it neither pays nor refuses for an event without visible rows', () => {
    const { account, paid } = createAccount(overdrawn)
    const seen = { row: null, old: null }
    expect(viewVisible(account, createView({}), eventOf('U'), seen, new Work())).toBe(undefined)
    expect(paid).toEqual([])
    for (const [operation, images] of [
      ['U', { row: null, old: one }],
      ['U', { row: two, old: null }],
      ['T', seen],
    ] as const)
      expect(() => viewVisible(account, view, eventOf(operation), images, new Work())).toThrow(overdrawn)
  })
})
