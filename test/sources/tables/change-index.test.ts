import { describe, expect, it } from 'vitest'
import type { RowImage } from '../../../src/filters/index.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import { type ChangeIndex, createChangeIndex } from '../../../src/sources/tables/change-index.js'
import type { RowOperation } from '../../../src/sources/tables/row-change.js'
import { readRow, toFilter } from '../../support/small-filters.js'

// change-matcher.test.ts proves that no change is missed, for any filters and rows.

const select = (where: object, operations?: readonly RowOperation[]) => ({
  filter: toFilter(where),
  operations,
})

/** Returns the entries that a change may concern, in order. */
function visited(
  index: ChangeIndex<string>,
  operation: LogEvent['operation'],
  images: { row?: RowImage; old?: RowImage },
): string[] {
  const found: string[] = []
  index.visit({ operation } as LogEvent, { row: null, old: null, ...images }, entry => found.push(entry))
  return found.sort()
}

describe('an index of changes', () => {
  it('visits the entries that select the operation and whose equality condition the new or the old row meets', () => {
    const index = createChangeIndex<string>()
    index.add(select({}), 'all')
    index.add(select({}, ['DELETE']), 'deletes')
    index.add(select({ a: { eq: 1 } }), 'a = 1')
    index.add(select({ a: { in: [2, 3] } }, ['UPDATE']), 'updates of 2, 3')
    const [one, two] = [readRow('{"a":1}'), readRow('{"a":2}')]
    expect(visited(index, 'I', { row: one })).toEqual(['a = 1', 'all'])
    expect(visited(index, 'I', { row: two })).toEqual(['all'])
    expect(visited(index, 'U', { row: one, old: two })).toEqual(['a = 1', 'all', 'updates of 2, 3'])
    expect(visited(index, 'D', { old: one })).toEqual(['a = 1', 'all', 'deletes'])
  })

  it('visits each entry once, even if the entry names its operation twice or meets its condition twice', () => {
    const index = createChangeIndex<string>()
    index.add(select({ a: { in: [1, 2] } }, ['UPDATE', 'UPDATE', 'INSERT']), 'one')
    const images = { row: readRow('{"a":1}'), old: readRow('{"a":2}') }
    expect(visited(index, 'U', images)).toEqual(['one'])
  })

  it('visits all entries for TRUNCATE, which has no rows to compare', () => {
    const index = createChangeIndex<string>()
    index.add(select({ a: { eq: 1 } }, ['INSERT']), 'one')
    index.add(select({}), 'other')
    expect(visited(index, 'T', {})).toEqual(['one', 'other'])
  })

  it('skips removed entries, also after a second removal and during a visit', () => {
    const index = createChangeIndex<string>()
    const removes = ['one', 'other'].map(entry => index.add(select({}), entry))
    const kept = index.add(select({ a: { eq: 1 } }, ['INSERT', 'DELETE']), 'third')
    const found: string[] = []
    index.visit({ operation: 'I' } as LogEvent, { row: readRow('{"a":1}'), old: null }, entry => {
      found.push(entry)
      for (const remove of removes) remove()
    })
    expect(found.sort()).toEqual(['one', 'third'])
    expect([...index.entries]).toEqual(['third'])
    kept()
    kept()
    expect(visited(index, 'D', { old: readRow('{"a":1}') })).toEqual([])
  })

  it('returns all its entries when it is cleared, in the order in which they were added', () => {
    const index = createChangeIndex<string>()
    index.add(select({}, ['INSERT']), 'one')
    index.add(select({}), 'other')
    expect(index.clear()).toEqual(['one', 'other'])
    expect([index.entries.size, visited(index, 'I', { row: readRow('{"a":1}') })]).toEqual([0, []])
  })
})
