import type { Random } from '../random.js'
import { ACCOUNTS, TOTAL_BALANCE } from './scene.js'

/** A selection set of Query, which is also one of `live`. */
export interface LiveDocument {
  readonly text: string
  /** What is wrong with a result by itself, wherever writers and servers are. */
  readonly inconsistency?: (data: never) => string | undefined
}

interface Accounts {
  readonly accounts: { readonly rows: readonly { readonly balance: number }[] }
  readonly accountsAggregate: { readonly count: string; readonly sum: { readonly balance: string } }
}

/** Several roots of one moment: every transfer is in all of them, or in none. */
const ACCOUNTS_AND_SUM: LiveDocument = {
  text: 'accounts { rows { id balance customer { name } } } accountsAggregate { count sum { balance } }',
  inconsistency({ accounts: { rows }, accountsAggregate: { count, sum } }: Accounts) {
    const money = rows.reduce((all, { balance }) => all + balance, 0)
    const isWhole =
      rows.length === ACCOUNTS &&
      Number(count) === ACCOUNTS &&
      money === TOTAL_BALANCE &&
      Number(sum.balance) === TOTAL_BALANCE
    return isWhole ? undefined : `${rows.length} accounts with ${money}, and ${count} with ${sum.balance}`
  },
}

const REGION = ['a', 'b', 'c', 'd', 'e', 'f']

type Template = (random: Random) => string

const TEMPLATES: readonly Template[] = [
  random => `orders(where: {total: {gt: "${random.int(0, 80)}"}}, orderBy: [{total: DESC}], limit: ${random.int(1, 8)}) {
    rows { shop no total customer { name region { name } } items(orderBy: [{sku: ASC}]) { sku quantity } } }`,
  random => `customers(where: {id: {lte: ${random.int(1, 40)}}}, orderBy: [{name: ASC}], limit: ${random.int(1, 10)}, offset: ${random.int(0, 3)}) {
    rows { id name boss { name boss { id } } customersByBoss(orderBy: [{id: ASC}], limit: 3) { id grade } } }`,
  random =>
    `customers(where: {region: {name: {like: "%${random.int(0, 5)}"}}}) { rows { id region { code } ordersAggregate { count sum { total } } } }`,
  random =>
    `customers(where: {orders: {some: {state: {eq: "${random.pick(STATES)}"}, total: {gt: "${random.int(0, 90)}"}}}}) { rows { id grade } }`,
  random =>
    `customers(where: {orders: {none: {total: {lt: "${random.int(0, 90)}"}}}}, orderBy: [{grade: DESC}]) { rows { id grade credit } }`,
  random => `regions(where: {code: {in: ["${random.pick(REGION)}", "${random.pick(REGION)}"]}}) {
    rows { code name customers(orderBy: [{credit: DESC}], limit: 2) { name orders(orderBy: [{total: ASC}], limit: 2) { total state } } } }`,
  random =>
    `ordersAggregate(where: {state: {eq: "${random.pick(STATES)}"}}) { count sum { total } min { total } max { no } groups(groupBy: [customerId]) { key { customerId } count } }`,
  () => `customersAggregate { count groups(groupBy: [grade]) { key { grade } count max { credit } } }`,
  random => `items(where: {order: {customer: {grade: {eq: ${random.pick(GRADES)}}}}}, orderBy: [{orderShop: ASC}, {orderNo: ASC}, {sku: ASC}], limit: 20) {
    rows { orderShop orderNo sku quantity order { total } } }`,
  random => `itemsAggregate(where: {sku: {eq: "s${random.int(1, 5)}"}}) { count sum { quantity } }`,
  random =>
    `orders(where: {shop: {eq: "${random.int(0, 3)}.50"}}, orderBy: [{no: DESC}]) { rows { shop no itemsAggregate { sum { quantity } } } }`,
]
const STATES = ['open', 'paid', 'sent']
const GRADES = ['low', 'middle', 'high']

/** A random live query; every fifth one has results that show by themselves whether they are of one moment. */
export function anyDocument(random: Random, i: number): LiveDocument {
  if (i % 5 === 0) return ACCOUNTS_AND_SUM
  return { text: random.pick(TEMPLATES)(random) }
}
