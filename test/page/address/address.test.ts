import { expect, it } from 'vitest'
import { type Address, readAddress, writeAddress } from '../../../page/address/address.js'
import { FIRST_VIEW } from '../../../page/tables/view.js'

it('an address that was written is read again, whatever the names contain', () => {
  const address: Address = {
    channels: ['chat', `Größe, "a" 'b' & c/d?e#f%20=`],
    table: 'chat&messages',
    view: {
      conditions: [
        { field: 'name', operator: 'eq', value: '&table=other' },
        { field: 'age', operator: 'isNull', value: 'false' },
      ],
      order: { field: 'age', isDescending: true },
      size: 'all',
      page: 2,
    },
  }
  expect(readAddress(`#${writeAddress(address)}`)).toEqual(address)
})

it('an address without anything else names channels, as links to the page have always done', () => {
  expect(readAddress('#people')).toEqual({ channels: ['people'], table: undefined, view: FIRST_VIEW })
  expect(readAddress('')).toEqual({ channels: [], table: undefined, view: FIRST_VIEW })
  expect(readAddress('#&table=people')).toEqual({ channels: [], table: 'people', view: FIRST_VIEW })
  expect(writeAddress({ channels: ['news'], table: 'people', view: FIRST_VIEW })).toBe('news&table=people')
})

it.each([
  '#%&table=%',
  '#a&where=nothing',
  '#a&where=[1,["x","drop","1"]]',
  '#a&page=-3&rows=7&order=',
  '#a&page=x',
])('what %s does not say rightly counts as not said', hash => {
  expect(readAddress(hash).view).toEqual(FIRST_VIEW)
})
