import fc from 'fast-check'
import { type ExecutionResult, execute, parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { DEMO_TABLES } from '../../schema/demo-tables.js'
import { buildSchema } from '../../schema/index.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { stringifyJson } from '../../src/filters/index.js'
import { UNREADABLE_MEMBER } from '../../src/filters/unreadable.js'
import { createRowTexts } from '../../src/graphql/row-texts.js'
import { resultLists } from '../../src/live/result-lists.js'
import { endOfBatch } from '../../src/log/position.js'
import type { Plan } from '../../src/plan/plan.js'
import { readPlanRows } from '../../src/plan/plan-result.js'
import type { Snapshot } from '../../src/snapshots/snapshot-request.js'
import { children, count, link, plan, roots, rows } from '../live/shop.js'
import { column } from '../support/watched-tables.js'

const [demoPeople, visits] = DEMO_TABLES as readonly [WatchedTable, WatchedTable]
const people = { ...demoPeople, columns: [...demoPeople.columns, column('note', 'json')] }
const schema = buildSchema({ tables: [people, visits] })

const nested = rows(people, {
  columns: ['pk', 'name', 'note'],
  children: children({
    been: rows(visits, { columns: ['place'], link: link(people, visits, [['pk', 'person_id']]) }),
  }),
})
const LIST = plan(nested, [people, visits])
const ROOTS = plan(roots({ one: nested, other: nested, all: count(people) }), [people, visits])
const FIELDS = 'pk name note been: visits { place }'
const OF_LIST = `subscription { it: people { at: cursor rows { ${FIELDS} } ...more } } fragment more on PeopleSnapshot { __typename again: rows { name } }`
const OF_ROOTS = `subscription { live { one: people { rows { ${FIELDS} } } all: peopleAggregate { count } other: people { rows { name ${FIELDS} } cursor } } }`

/** A row of `nested`, as Postgres writes it. */
interface Person {
  readonly pk: number
  readonly note: unknown
  readonly places: readonly string[]
  readonly isUnreadable: boolean
}

function written({ pk, note, places, isUnreadable }: Person): unknown {
  const name = isUnreadable ? null : `n"${pk}`
  const image = { pk, name, note, ...(isUnreadable && { [UNREADABLE_MEMBER]: { name: 'encoding' } }) }
  return [image, places.map(place => ({ place }))]
}

function state(of: Plan, texts: readonly unknown[]): Snapshot {
  const position = endOfBatch({ n: 1, token: 1 })
  return {
    cursor: `c${texts.length}`,
    position,
    duration: 0,
    rows: readPlanRows(
      of,
      texts.map(text => JSON.stringify(text)),
    ),
  }
}
const listOf = (all: readonly Person[]) => state(LIST, all.map(written))
const rootsOf = (one: readonly Person[], other: readonly Person[]) =>
  state(ROOTS, [[{}, one.map(written), other.map(written), [{ count: one.length }]]])

/** Executes a document on states, and counts the rows that it executes. */
function createTexts(of: Plan, source: string) {
  const document = parse(source)
  const lists = resultLists<Snapshot>(of)
  if (!lists) throw new Error('the plan has no lists')
  const executed: number[] = []
  const run = (event: Snapshot) =>
    execute({ schema, document, rootValue: event, contextValue: { keepsJsonText: true } }) as ExecutionResult
  const texts = createRowTexts(lists, event => {
    executed.push(lists.of(event).reduce((sum, list) => sum + list.rows.length, 0))
    return run(event)
  })
  return { texts, executed, plainly: (event: Snapshot) => stringifyJson(run(event)) }
}

const person = fc.record({
  pk: fc.integer({ min: 0, max: 30 }),
  note: fc.constantFrom(null, 'a\n', { b: [1, '"rows":[]'] }, 12345678901234567000),
  places: fc.array(fc.constantFrom('here', 'there'), { maxLength: 2 }),
  isUnreadable: fc.oneof({ weight: 500, arbitrary: fc.constant(false) }, fc.constant(true)),
})
/** Most have enough rows to be rendered row by row. */
const crowd = fc.array(person, { maxLength: 60, size: 'max' })
const ahead = fc.boolean()

describe('states whose rows keep their texts', () => {
  it('show what the operation shows of each state as a whole', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(crowd, crowd, ahead), { maxLength: 6 }), states => {
        const [list, several] = [createTexts(LIST, OF_LIST), createTexts(ROOTS, OF_ROOTS)]
        for (const [one, other, isAhead] of states) {
          for (const [{ texts, plainly }, event] of [
            [list, listOf(one)],
            [several, rootsOf(one, other)],
          ] as const) {
            if (isAhead) texts.prepare(event, () => true)
            expect(stringifyJson(texts.execute(event))).toBe(plainly(event))
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  const many = (from: number, to: number): Person[] =>
    Array.from({ length: to - from }, (_, i) => ({
      pk: from + i,
      note: null,
      places: [],
      isUnreadable: false,
    }))

  it('execute only rows that the state before did not have, each once', () => {
    const { texts, executed } = createTexts(LIST, OF_LIST)
    texts.execute(listOf([...many(0, 100), ...many(0, 50)]))
    expect(executed.splice(0)).toEqual([32, 32, 32, 4, 0])
    texts.execute(listOf([{ ...many(0, 1)[0], places: ['new'] } as Person, ...many(1, 101)]))
    expect(executed.splice(0)).toEqual([2, 0])
    texts.execute(listOf(many(1, 101)))
    expect(executed.splice(0)).toEqual([0])
    texts.execute(listOf(many(0, 101))) // row 0 as it was two states ago
    expect(executed).toEqual([1, 0])
  })

  it('are executed as a whole if they have few rows, or errors', () => {
    const { texts, executed } = createTexts(LIST, OF_LIST)
    texts.execute(listOf(many(0, 15)))
    expect(executed.splice(0)).toEqual([15])
    const [first, ...others] = many(0, 20) as [Person, ...Person[]]
    expect(texts.execute(listOf([...others, { ...first, isUnreadable: true }])).errors?.[0]?.path).toEqual([
      'it',
      'rows',
      19,
      'name',
    ])
    expect(executed.at(-1)).toBe(20)
  })

  it('are prepared part by part, as long as there is time', () => {
    const { texts, executed } = createTexts(LIST, OF_LIST)
    const event = listOf(many(0, 100))
    let time = 2
    expect(texts.prepare(event, () => --time === 0)).toBe(false)
    expect(executed).toEqual([32, 32])
    expect(texts.prepare(event, () => true)).toBe(false)
    expect(texts.prepare(event, () => true)).toBe(true)
    expect(executed.splice(0)).toEqual([32, 32, 32, 4])
    texts.execute(event)
    expect(executed).toEqual([0])
  })
})
