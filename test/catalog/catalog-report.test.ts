import { expect, it } from 'vitest'
import type { Access } from '../../src/catalog/catalog-access.js'
import { createCatalogReport } from '../../src/catalog/catalog-report.js'
import type { Refreshed } from '../../src/catalog/refresh.js'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import type { Failure, Observation } from '../../src/lib/observation.js'

const failure = (message: string): Failure => ({ message, hint: undefined, isAway: false })
const LACKING: Refreshed = { relid: '1', table: 'people', change: 'lacking', detail: 'a trigger' }
const ALL: Access = { isInstalled: true, mayRefresh: true, mayRead: true, lacking: undefined }

/** A report, and a function that returns what has been observed since its last call, one text each. */
function createTested() {
  const seen: string[] = []
  const words = (one: Observation) => {
    const { type, message, change, detail } = { message: '', change: '', detail: '', ...one }
    return [type, message, change, detail].filter(word => word !== '').join(' ')
  }
  const report = createCatalogReport(one => seen.push(words(one)))
  report.access(ALL)
  return { report, observed: () => seen.splice(0) }
}

it('a table that lacks something is reported at the second refresh in a row, and again only after it was whole', () => {
  const { report, observed } = createTested()
  report.refreshed([LACKING])
  report.refreshed([])
  report.refreshed([LACKING])
  expect(observed()).toEqual([])
  for (let i = 0; i < 3; i++) report.refreshed([LACKING])
  expect(observed()).toEqual(['table.lacking a trigger'])
  report.whole([{ relid: '1' } as WatchedTable])
  report.refreshed([LACKING])
  expect(observed()).toEqual(['table.lacking a trigger'])
})

it('a new generation is reported, unless its history does not begin', () => {
  const { report, observed } = createTested()
  const generation: Refreshed = { ...LACKING, change: 'generation', detail: '2' }
  report.refreshed([generation])
  expect(observed()).toEqual(['table.changed generation 2'])
  report.refreshed([generation, LACKING])
  expect(observed()).toEqual([])
})

it('a failure is reported once in a row, and again after a refresh that succeeded', () => {
  const { report, observed } = createTested()
  const fail = () => {
    report.disconnected(failure('no route'))
    report.disconnected(failure('no route'))
    report.notRefreshed(new Error('no route'), failure('no route'))
  }
  fail()
  expect(observed()).toEqual(['catalog.failed no route', 'catalog.failed no route'])
  report.refreshed([])
  report.notRefreshed(new Error('no route'), failure('no route'))
  expect(observed()).toEqual(['catalog.failed no route'])
})

it('what the login lacks stays reported while refreshes succeed, and so does a missing log', () => {
  const { report, observed } = createTested()
  const access: Access = { ...ALL, mayRead: false, lacking: failure('no right') }
  for (let i = 0; i < 3; i++) {
    report.access(access)
    report.refreshed([])
  }
  expect(observed()).toEqual(['catalog.failed no right'])
  const none: Access = { isInstalled: false, mayRefresh: false, mayRead: false, lacking: undefined }
  for (let i = 0; i < 3; i++) report.access(none)
  expect(observed()).toEqual(['catalog.absent'])
})

it('a lock in the way is reported after 30 checks in a row', () => {
  const { report, observed } = createTested()
  for (let i = 1; i < 30; i++) report.blocked(failure('locked'))
  report.refreshed([])
  for (let i = 1; i < 30; i++) report.blocked(failure('locked'))
  expect(observed()).toEqual([])
  report.blocked(failure('locked'))
  report.blocked(failure('locked'))
  expect(observed()).toEqual(['catalog.failed locked'])
})

it('a table or column that is left out is reported once', () => {
  const { report, observed } = createTested()
  for (let i = 0; i < 2; i++) report.leftOut({ relid: '1', what: 'column', detail: 'b\ufffd' })
  report.leftOut({ relid: '1', what: 'column', detail: 'c\ufffd' })
  expect(observed()).toEqual(['catalog.unreadable b\ufffd', 'catalog.unreadable c\ufffd'])
})
