import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RowImage } from '../../../../src/filters/index.js'
import { ListenqlError } from '../../../../src/lib/errors.js'
import { Fold } from '../../../../src/sources/tables/pace/fold.js'
import type { RowChange } from '../../../../src/sources/tables/row-change.js'
import { change, column, image, table } from '../../../support/watched-tables.js'

const PEOPLE = table('people', [column('id', 'int4', { notNull: true }), column('v', 'int4')])
let ids = 0
const row = (id: number, v: number) => image(PEOPLE, `{"id":${id},"v":${v}}`)
const v = (of: RowImage | null) => of && Number(of.get('v'))

function make(operation: RowChange['operation'], row: RowImage | null, old: RowImage | null): RowChange {
  const position = { n: 1, token: 1, ord: 1, statement: 1, id: ++ids }
  return change(operation, { row, old, key: row ?? old, position, cursor: String(ids) })
}
const insert = (id: number, to: number) => make('INSERT', row(id, to), null)
const update = (id: number, from: number, to: number) => make('UPDATE', row(id, to), row(id, from))
const remove = (id: number, from: number) => make('DELETE', null, row(id, from))

function fold(
  changes: readonly RowChange[],
  { key = PEOPLE.key, wantsUpdate = true, mayHaveRows = false } = {},
): RowChange[] {
  const all = new Fold({ key, wantsUpdate, mayHaveRows })
  for (const each of changes) all.add(each)
  return all.changes()
}

/** `INSERT null->2`. */
const words = (changes: readonly RowChange[]) =>
  changes.map(({ operation, old, row }) => `${operation} ${v(old)}->${v(row)}`)

describe('the changes of one row become', () => {
  it.each([
    ['INSERT and UPDATE: INSERT', [insert(1, 1), update(1, 1, 2)], ['INSERT null->2']],
    ['INSERT and DELETE: nothing', [insert(1, 1), remove(1, 1)], []],
    ['INSERT, DELETE and INSERT: INSERT', [insert(1, 1), remove(1, 1), insert(1, 3)], ['INSERT null->3']],
    ['UPDATE and UPDATE: UPDATE', [update(1, 1, 2), update(1, 2, 3)], ['UPDATE 1->3']],
    ['UPDATE and DELETE: DELETE', [update(1, 1, 2), remove(1, 2)], ['DELETE 1->null']],
    ['DELETE and INSERT: UPDATE', [remove(1, 1), insert(1, 2)], ['UPDATE 1->2']],
    ['DELETE, INSERT and DELETE: DELETE', [remove(1, 1), insert(1, 2), remove(1, 2)], ['DELETE 1->null']],
    ['an INSERT that then leaves the filter: nothing', [insert(1, 5), make('UPDATE', null, row(1, 5))], []],
    [
      'an UPDATE that then leaves the filter',
      [update(1, 1, 2), make('UPDATE', null, row(1, 2))],
      ['UPDATE 1->null'],
    ],
  ])('%s', (_name, changes, expected) => {
    expect(words(fold(changes))).toEqual(expected)
  })

  it('a removal if the subscriber may have the row although it was inserted', () => {
    const removed = fold([insert(1, 1), remove(1, 1)], { mayHaveRows: true })
    expect(words(removed)).toEqual(['DELETE null->null'])
    const left = fold([insert(1, 5), make('UPDATE', null, row(1, 5))], { mayHaveRows: true })
    expect(words(left)).toEqual(['UPDATE null->null'])
  })

  it('INSERT instead of an UPDATE that the subscription does not want', () => {
    expect(words(fold([remove(1, 1), insert(1, 2)], { wantsUpdate: false }))).toEqual(['INSERT null->2'])
  })

  it('the change itself, if it is the only one', () => {
    const one = update(1, 1, 2)
    expect(fold([one])[0]).toBe(one)
  })

  it('a fault, if the last one is a fault', () => {
    const fault = new ListenqlError('VALUE_NOT_SHOWN', '')
    expect(fold([insert(1, 1), { ...update(1, 1, 2), fault }])).toMatchObject([{ fault }])
    expect(fold([{ ...update(1, 1, 2), fault }, update(1, 2, 3)])[0]?.fault).toBeUndefined()
    expect(words(fold([{ ...update(1, 1, 2), fault }, update(1, 2, 3)]))).toEqual(['UPDATE null->3']) // rows beside a fault are not shown
  })
})

it('each folded change has the place, cursor and transaction of the last change of its row', () => {
  const changes = [update(1, 1, 2), update(2, 1, 2), { ...update(1, 2, 3), transaction: 'last' }]
  expect(fold(changes).map(({ cursor, transaction }) => [cursor, transaction])).toEqual([
    [changes[1]?.cursor, changes[1]?.transaction],
    [changes[2]?.cursor, 'last'],
  ])
})

it('TRUNCATE replaces everything before it', () => {
  const changes = [
    insert(1, 1),
    remove(2, 1),
    make('TRUNCATE', null, null),
    insert(2, 2),
    make('TRUNCATE', null, null),
    insert(3, 3),
  ]
  expect(words(fold(changes))).toEqual(['TRUNCATE null->null', 'INSERT null->3'])
})

it('changes of a table without a primary key, or with a key that cannot be read, stay as they are', () => {
  const changes = [insert(1, 1), insert(1, 1), remove(1, 1)]
  expect(fold(changes, { key: [] })).toEqual(changes)
  const unreadable = Object.assign(row(1, 1), { unreadable: () => ({ reason: 'too large' }) })
  const unknown = [1, 2].map(() => make('UPDATE', unreadable, null))
  expect(fold(unknown)).toEqual(unknown)
})

it('counts the rows, and the characters of the images that it keeps', () => {
  const all = new Fold({ key: ['id'], wantsUpdate: true, mayHaveRows: false })
  for (let i = 0; i < 100; i++) all.add(update(1, 1, 2))
  expect([all.size, all.characters]).toEqual([1, row(1, 1).size + row(1, 2).size])
  all.add(make('TRUNCATE', null, null))
  expect([all.size, all.characters]).toEqual([1, 0])
})

it.each([
  ['single changes follow', (rest: readonly RowChange[]) => rest],
  ['folded ones follow', (rest: readonly RowChange[]) => fold(rest, { mayHaveRows: true })],
])('leads to the same rows as the single changes, also if after any folded one %s', (_name, follow) => {
  const ids = fc.integer({ min: 1, max: 3 })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(ids, fc.option(fc.nat(9), { nil: undefined })), { maxLength: 5 }),
      fc.array(
        fc.tuple(
          fc.oneof({ weight: 9, arbitrary: ids }, fc.constant(0)),
          fc.option(fc.nat(9), { nil: undefined }),
        ),
        {
          maxLength: 12,
        },
      ),
      (before, after) => {
        const rows = new Map<number, number>()
        const changesOf = (steps: readonly (readonly [number, number | undefined])[]) =>
          steps.flatMap(([id, to]) => {
            const from = rows.get(id)
            if (id === 0) rows.clear()
            else if (to === undefined) rows.delete(id)
            else rows.set(id, to)
            if (id === 0) return make('TRUNCATE', null, null)
            if (to === undefined) return from === undefined ? [] : remove(id, from)
            return from === undefined ? insert(id, to) : update(id, from, to)
          })
        changesOf(before)
        const start = new Map(rows)
        const changes = changesOf(after)
        const folded = fold(changes)
        const apply = (copy: Map<number, number>, all: readonly RowChange[]) => {
          for (const { operation, key, row } of all) {
            const id = Number(key?.get('id'))
            if (operation === 'TRUNCATE') copy.clear()
            else if (row) copy.set(id, Number(row.get('v')))
            else copy.delete(id)
          }
          return copy
        }
        for (let taken = 0; taken <= folded.length; taken++) {
          const copy = apply(new Map(start), folded.slice(0, taken))
          const position = folded[taken - 1]?.position.id ?? Number.NEGATIVE_INFINITY
          const rest = taken === folded.length ? [] : changes.filter(each => each.position.id > position)
          expect(Object.fromEntries(apply(copy, follow(rest)))).toEqual(Object.fromEntries(rows))
        }
      },
    ),
    { numRuns: 2000 },
  )
})
