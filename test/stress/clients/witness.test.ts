import { createHash } from 'node:crypto'
import { beforeEach, expect, it } from 'vitest'
import { createKeptOrder } from './kept-order.js'
import { type Account, BRANCHES, TOTAL } from './scene.js'
import { createWitness, pageOf, type Witness } from './witness.js'

let complaints: string[]
const complain = (text: string) => void complaints.push(text)
beforeEach(() => {
  complaints = []
})

const row = (id: number, branch: number, balance: number): Account => ({
  ...{ id, branch, balance, born: id, version: null, digest: null, page: null },
})
/** A branch with its seal. */
function branchOf(branch: number, version: number, balances: Record<number, number>): Account[] {
  const accounts = Object.entries(balances).map(([id, balance]) => row(Number(id), branch, balance))
  const text = accounts.map(({ id, balance }) => `${id}:${balance}`).join()
  const digest = createHash('md5').update(text).digest('hex')
  return [...accounts, { ...row(-branch, branch, 0), version, digest, page: pageOf(accounts) }]
}
const judge = (branches: readonly number[] = [1]): Witness =>
  createWitness({ name: 'list', branches, complain })

it('states at the ends of transactions are right', () => {
  const witness = judge()
  witness.see(branchOf(1, 1, { 5: 10, 6: 20, 7: 3, 8: 1 }), 1)
  witness.see(branchOf(1, 2, { 5: 11, 6: 19, 7: 3, 9: 1 }), 1)
  expect(complaints).toEqual([])
  expect(witness.states).toBe(2)
})

it.each([
  [
    'a row that has changed',
    branchOf(1, 1, { 5: 10, 6: 20 }).map(one => (one.id === 5 ? { ...one, balance: 9 } : one)),
  ],
  ['a row that is missing', branchOf(1, 1, { 5: 10, 6: 20 }).slice(1)],
  ['a row that should be gone', [...branchOf(1, 1, { 5: 10, 6: 20 }), row(7, 1, 0)]],
  ['no seal', [row(5, 1, 10)]],
  ['nothing', []],
])('a state within a transaction is a fault: %s', (_what, rows) => {
  judge().see(rows)
  expect(complaints).toEqual([expect.stringMatching(/^list showed a state within a transaction: /)])
})

it('finds what goes back, and what skips a transaction without reading all rows', () => {
  const witness = judge()
  const balances = { 5: 10, 6: 20 }
  witness.see(branchOf(1, 3, balances), 1)
  witness.see(branchOf(1, 5, balances), 2)
  expect(complaints).toEqual([])
  witness.see(branchOf(1, 7, balances), 2)
  witness.see(branchOf(1, 6, balances), 3)
  expect(complaints).toEqual([
    'list: branch 1 skipped from version 5 to 7',
    'list: branch 1 went back from version 7 to 6',
  ])
})

it('finds two branches that are not of one moment', () => {
  const witness = judge(BRANCHES)
  const [one, two, three] = [branchOf(1, 1, { 5: TOTAL }), branchOf(2, 1, { 6: 0 }), branchOf(3, 1, { 7: 0 })]
  witness.see([...one, ...two, ...three])
  witness.see([...one, ...branchOf(2, 2, { 6: 50 }), ...three])
  expect(complaints).toEqual([`list showed balances of ${TOTAL + 50} in all instead of ${TOTAL}`])
})

it('finds a row that loses its place', () => {
  const order = createKeptOrder('list', complain)
  const rows = [1, 2, 3].map(id => row(id, 1, 0))
  const [first, second, third] = rows as [Account, Account, Account]
  order.see(rows, 1)
  order.see(
    [first, third, row(4, 1, 0), row(2, 1, 0)].map((one, i) => (i === 3 ? { ...one, born: 9 } : one)),
    1,
  )
  expect(complaints).toEqual([])
  order.see([third, first], 1)
  order.see([third, second], 2)
  expect(complaints).toEqual([
    'list: 1/1 lost its place: 1/1,3/3,4/4,2/9 became 3/3,1/1',
    'list: the rows that were read are not in the order of their keys: 3/3,2/2',
  ])
})
