import { expect, it } from 'vitest'
import { markNotShown, reasonOf } from '../../../page/session/not-shown.js'

it('a null for which there is an error is marked, and every other null is not', () => {
  const { data } = markNotShown({
    data: {
      things: {
        rows: [
          { id: 1, height: null, age: null },
          { id: 2, heights: [1, null] },
        ],
      },
    },
    errors: [
      { message: 'the value is NaN', path: ['things', 'rows', 0, 'height'] },
      { message: 'the value is Infinity', path: ['things', 'rows', 1, 'heights', 1] },
      { message: 'of a place that does not exist', path: ['things', 'rows', 7, 'height'] },
      { message: 'of no place' },
    ],
  })
  const [first, second] = (data as { things: { rows: Record<string, unknown>[] } }).things.rows
  expect(reasonOf(first?.height)).toBe('the value is NaN')
  expect(first?.age).toBe(null)
  expect(((second?.heights ?? []) as unknown[]).map(reasonOf)).toEqual([undefined, 'the value is Infinity'])
})

it('a result without data stays as it is', () => {
  const result = { data: null, errors: [{ message: 'refused', path: ['things'] }] }
  expect(markNotShown(result)).toEqual({ data: null, errors: [{ message: 'refused', path: ['things'] }] })
})
