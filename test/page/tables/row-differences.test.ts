import { expect, it } from 'vitest'
import { createDifferences } from '../../../page/tables/row-differences.js'

const row = (id: number, name = `n${id}`) => ({ id, name })
const [one, two, three] = [row(1), row(2), row(3)]

it('rows that came, changed or went are counted; a row that moved is not', () => {
  const differences = createDifferences((each: { readonly id: number }) => String(each.id))
  expect(differences([one, two], 'all')).toBe(undefined)
  expect(differences([three, two, row(1, 'other')], 'all')).toEqual({
    added: new Set(['3']),
    changed: 1,
    removed: 0,
  })
  expect(differences([two, three], 'all')).toEqual({ added: new Set(), changed: 0, removed: 1 })
})

it('the rows of another view are no changes', () => {
  const differences = createDifferences((each: { readonly id: number }) => String(each.id))
  differences([one], 'page 1')
  expect(differences([two], 'page 2')).toBe(undefined)
  expect(differences([two, three], 'page 2')).toMatchObject({ added: new Set(['3']) })
})
