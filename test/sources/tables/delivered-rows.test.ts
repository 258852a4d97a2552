import { describe, expect, it } from 'vitest'
import { createImageReader, type RowImage } from '../../../src/filters/index.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import type { Position } from '../../../src/log/position.js'
import {
  createDeliveredRows,
  type Deliverable,
  deliverableOfPast,
  keyText,
  MAX_DELIVERED_ROWS,
} from '../../../src/sources/tables/delivered-rows.js'
import { column } from '../../support/watched-tables.js'

const read = createImageReader([column('id', 'int4'), column('body', 'text')])
const version = (id: number, body: string) => read(JSON.stringify({ id, body }))
const at = (n: number): Position => ({ n, token: 1, ord: 0, statement: 0, id: 0 })
const NOTHING = { row: null, old: null }
const KEY = ['id']
const ALL = ['id', 'body']

/**
 * Returns what is delivered for a change when SELECT shows the rows `now`; `allowed`: the policies let the old row pass by now.
 */
function follow(keys: readonly RowImage[], position = 0) {
  const delivered = createDeliveredRows({
    key: KEY,
    readable: ALL,
    keys: keys.map(row => keyText(KEY, row)),
    position: at(position),
  })
  let n = 0
  return {
    delivered,
    next(old: RowImage | null, row: RowImage | null, now: readonly RowImage[], allowed = false): string {
      const operation = old && row ? 'U' : row ? 'I' : old ? 'D' : 'T'
      const event = { operation, position: at(++n) } as LogEvent
      const present = new Map(now.map(one => [keyText(KEY, one), one]))
      return words(delivered.next(event, { old, row }, allowed ? { row: null, old } : NOTHING, present))
    },
  }
}

function words(deliverable: Deliverable): string {
  if (deliverable.kind !== 'images') return deliverable.kind
  const { old, row } = deliverable.images
  return `${old?.get('body') ?? '-'} -> ${row?.get('body') ?? '-'}`
}

describe('what is delivered for a row', () => {
  const [one, two, three] = [version(1, 'one'), version(1, 'two'), version(1, 'three')]

  it('is its new version if SELECT shows exactly that version, and its old version if that was delivered before', () => {
    const { next } = follow([])
    expect(next(null, one, [])).toBe('nothing')
    expect(next(one, two, [two])).toBe('- -> two')
    expect(next(two, three, [three])).toBe('two -> three')
    expect(next(three, null, [])).toBe('three -> -')
    expect(next(three, null, [])).toBe('nothing')
  })

  it('is a removal if only an older version was delivered and the row is gone', () => {
    const { next } = follow([one])
    expect(next(one, two, [three])).toBe('nothing')
    expect(next(two, three, [])).toBe('removal')
    expect(next(three, null, [])).toBe('nothing')
  })

  it('is an error if the row is gone in a newer snapshot, because an earlier source may have delivered it', () => {
    const { next } = follow([version(2, 'there')], 1)
    expect(() => next(one, null, [])).toThrow(expect.objectContaining({ code: 'CURSOR_EXPIRED' }))
  })

  it('is a removal if the row is gone and the policies let its old version pass by now', () => {
    const { next } = follow([])
    expect(next(one, null, [], true)).toBe('removal')
  })

  it('is its old version if the row was in the initial snapshot and did not change before the first event', () => {
    const { delivered, next } = follow([one, version(2, 'b')])
    delivered.settle([{ old: version(2, 'a'), row: version(2, 'b') }])
    expect(next(version(2, 'b'), null, [])).toBe('nothing')
    expect(next(one, null, [])).toBe('one -> -')
  })

  it('is nothing for rows from before a TRUNCATE', () => {
    const { next } = follow([one])
    expect(next(null, null, [])).toBe('- -> -')
    expect(next(one, null, [])).toBe('nothing')
    const settled = follow([one])
    settled.delivered.settle([NOTHING])
    expect(settled.next(one, null, [])).toBe('nothing')
  })

  it('contains no old version if the initial snapshot already includes the change', () => {
    const { next } = follow([two], 1)
    expect(next(one, two, [two])).toBe('- -> two')
    expect(next(two, three, [three])).toBe('two -> three')
  })

  it('is an error beyond the maximum number of rows', () => {
    const { next } = follow(Array.from({ length: MAX_DELIVERED_ROWS }, (_, i) => version(i + 10, 'x')))
    expect(() => next(null, one, [one])).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
  })

  it('of the past is an error if the row is gone and may have been delivered', () => {
    const tell = (old: RowImage | null, row: RowImage | null, now: readonly RowImage[], allowed = false) =>
      words(
        deliverableOfPast(
          KEY,
          ALL,
          { old, row },
          allowed ? { row: null, old } : NOTHING,
          new Map(now.map(each => [keyText(KEY, each), each])),
        ),
      )
    expect(tell(one, two, [two])).toBe('- -> two')
    expect(tell(one, two, [three])).toBe('nothing')
    expect(tell(null, one, [])).toBe('nothing')
    expect(tell(one, null, [], true)).toBe('removal')
    expect(() => tell(one, null, [])).toThrow(expect.objectContaining({ code: 'CURSOR_EXPIRED' }))
  })
})
