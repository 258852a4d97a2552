import { parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { changesDocument, pageDocument, rowsDocument } from '../../../page/tables/documents.js'
import { type Condition, FIRST_VIEW } from '../../../page/tables/view.js'
import { pageTable } from '../../support/page-tables.js'

const things = pageTable(1, 'id:Int!', 'name:String', 'mood:Mood', 'price:Decimal', 'data:JSON')
const where = (...conditions: [string, Condition['operator'], string][]) => {
  const view = {
    ...FIRST_VIEW,
    conditions: conditions.map(([field, operator, value]) => ({ field, operator, value })),
  }
  const text = pageDocument(things, view)
  parse(text)
  return /where: (.*), orderBy/.exec(text)?.[1]
}

describe('the live query of a page', () => {
  it('selects the key first, and orders by the greatest key if keys grow', () => {
    const odd = { ...pageTable(0, 'name:String', 'at:DateTime!', 'id:UUID!'), key: ['id'] }
    expect(pageDocument(pageTable(1, 'id:Int!', 'name:String'), FIRST_VIEW)).toBe(
      'subscription { things(orderBy: [{ id: DESC }], limit: 100) { rows { id name } } }',
    )
    expect(pageDocument(odd, FIRST_VIEW)).toBe('subscription { things(limit: 100) { rows { id name at } } }')
  })

  it('has the order, the page and the size that the user has chosen, and one row more if asked', () => {
    const view = { ...FIRST_VIEW, order: { field: 'name', isDescending: false }, size: 50, page: 2 } as const
    expect(pageDocument(pageTable(1, 'id:Int!', 'name:String'), view, 1)).toBe(
      'subscription { things(orderBy: [{ name: ASC }], limit: 51, offset: 100) { rows { id name } } }',
    )
  })

  it('compares with literals of the type of the column', () => {
    expect(where(['id', 'gte', ' 18 '])).toBe('{ id: { gte: 18 } }')
    expect(where(['id', 'in', '1, 2,3'])).toBe('{ id: { in: [1, 2, 3] } }')
    expect(where(['price', 'lt', '1.50'])).toBe('{ price: { lt: "1.50" } }')
    expect(where(['mood', 'eq', 'HAPPY'])).toBe('{ mood: { eq: HAPPY } }')
    expect(where(['data', 'isNull', 'false'])).toBe('{ data: { isNull: false } }')
    expect(where(['name', 'eq', ''])).toBe('{ name: { eq: "" } }')
  })

  it('contains whatever is typed as one text', () => {
    expect(where(['name', 'eq', '"} } } # \\ \n'])).toBe('{ name: { eq: "\\"} } } # \\\\ \\n" } }')
    expect(where(['id', 'eq', '1 } }'])).toBe('{ id: { eq: "1 } }" } }')
    expect(where(['mood', 'eq', 'HAPPY } }'])).toBe('{ mood: { eq: "HAPPY } }" } }')
  })

  it('combines conditions, and leaves out unfinished ones and those on columns that are gone', () => {
    expect(where(['id', 'gte', '1'], ['id', 'lt', '9'])).toBe(
      '{ and: [{ id: { gte: 1 } }, { id: { lt: 9 } }] }',
    )
    expect(where(['id', 'gte', '1'], ['name', 'like', ''], ['gone', 'eq', '1'])).toBe('{ id: { gte: 1 } }')
  })
})

describe('the subscription to changes', () => {
  it('begins with all rows that match, for a table with a key', () => {
    const view = { conditions: [{ field: 'id', operator: 'gt', value: '5' } as const] }
    expect(rowsDocument(pageTable(1, 'id:Int!', 'name:String'), view)).toBe(
      'subscription { thingsChanged(initial: true, where: { id: { gt: 5 } }, every: 100) { operation key { id } row { id name } } }',
    )
  })

  it('selects the old row for a table without a key', () => {
    expect(changesDocument(pageTable(0, 'a:Int', 'b:Int'), FIRST_VIEW)).toBe(
      'subscription { thingsChanged { operation at old { a b } row { a b } } }',
    )
  })

  it('fits into a URL, however many columns the table has', () => {
    const names = Array.from({ length: 1600 }, (_, index) => `a_column_of_some_length_${index}:Int`)
    expect(encodeURIComponent(changesDocument(pageTable(0, ...names), FIRST_VIEW)).length).toBeLessThan(8_000)
  })
})
