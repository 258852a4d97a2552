import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Filter, indexKeys, type RowImage, toPredicate, Work } from '../../../src/filters/index.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import { createChangeIndex } from '../../../src/sources/tables/change-index.js'
import { createChangeMatcher, operationOf } from '../../../src/sources/tables/change-matcher.js'
import type { ChangeSelection } from '../../../src/sources/tables/changes-request.js'
import { ROW_OPERATIONS } from '../../../src/sources/tables/row-change.js'
import { anyFilter, anyRow, readRow } from '../../support/small-filters.js'

const eventOf = (operation: LogEvent['operation']) => ({ operation }) as LogEvent
const change = fc.oneof(
  fc.record({ event: fc.constant(eventOf('I')), row: anyRow, old: fc.constant(null) }),
  fc.record({ event: fc.constant(eventOf('U')), row: anyRow, old: anyRow }),
  fc.record({ event: fc.constant(eventOf('D')), row: fc.constant(null), old: anyRow }),
  fc.record({ event: fc.constant(eventOf('T')), row: fc.constant(null), old: fc.constant(null) }),
)
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never
const selection: fc.Arbitrary<ChangeSelection> = fc.record({
  filter: anyFilter,
  operations: fc.option(fc.array(fc.constantFrom(...ROW_OPERATIONS)), { nil: undefined }),
})
const hidden = fc.record({ row: fc.boolean(), old: fc.boolean() })

/** The rule, written a second time as the oracle. */
function rowOf({ filter, operations }: ChangeSelection, { event, row, old }: Change) {
  const operation = operationOf(event) as (typeof ROW_OPERATIONS)[number]
  if (operations && !operations.includes(operation)) return undefined
  const matches = toPredicate(filter)
  if (row && matches(row)) return row
  return operation === 'TRUNCATE' || (old && matches(old)) ? null : undefined
}

describe('a matcher of changes', () => {
  it('selects a change of a selected operation if its new or old row matches, and returns the new row if that row matches', () => {
    fc.assert(
      fc.property(selection, change, (selected, one) => {
        const { match } = createChangeMatcher(selected)
        expect(match(one.event, one, new Work())).toBe(rowOf(selected, one))
      }),
    )
  })

  it('finds every change that it may select once some of the rows are hidden', () => {
    fc.assert(
      fc.property(fc.array(selection, { maxLength: 10 }), change, hidden, (selections, whole, hides) => {
        const index = createChangeIndex<ReturnType<typeof createChangeMatcher>>()
        for (const matcher of selections.map(createChangeMatcher)) index.add(matcher, matcher)
        const found = new Set<unknown>()
        index.visit(whole.event, whole, matcher => {
          if (matcher.mayConcern(whole.event, whole)) found.add(matcher)
        })
        const seen = { row: hides.row ? null : whole.row, old: hides.old ? null : whole.old }
        const isSeen = seen.row || seen.old || whole.event.operation === 'T'
        for (const matcher of index.entries) {
          expect(found.has(matcher)).toBe(matcher.mayConcern(whole.event, whole))
          if (isSeen && matcher.match(whole.event, seen, new Work()) !== undefined)
            expect(found).toContain(matcher)
        }
      }),
    )
  })

  it('compares only the operation and required equality conditions before the visibility of rows is known', () => {
    /** Returns a row with the same values in these columns, and nothing else. */
    const cut = (filter: Filter, row: RowImage) =>
      readRow(
        `{${indexKeys(filter)
          .map(({ column }) => `"${column}":${row.json(column)}`)
          .join()}}`,
      )
    fc.assert(
      fc.property(selection, change, (selected, { event, row, old }) => {
        const { mayConcern } = createChangeMatcher(selected)
        const { filter } = selected
        const rest = { row: row && cut(filter, row), old: old && cut(filter, old) }
        expect(mayConcern(event, rest)).toBe(mayConcern(event, { row, old }))
      }),
    )
  })
})
