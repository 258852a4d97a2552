import { TRANSPORTS } from '../stress/streams.js'
import type { Day } from './day.js'
import { Recorder } from './recorder.js'
import { ask } from './requests.js'
import { openScreen, type Screen, type ShownQuery } from './screen.js'
import { BRANCHES } from './shop.js'
import { NEWS, ORDERS, PRODUCTS, type Row, type Topic } from './topics.js'
import { startWriters, type Writers } from './writers.js'

/** The people of the day, and the application that writes. */
export interface Staff {
  readonly writers: Writers
  /** Clients at the level of the protocol, over each transport, which never start over. */
  readonly recorders: readonly Recorder[]
  /** Clients with `listenql/client`. */
  readonly screens: readonly Screen[]
  /** Clients that are away while the log is filled. */
  readonly laptops: readonly Recorder[]
  /** The branch whose orders a client sees. Undefined: all. */
  branchOf(client: { readonly name: string }): string | undefined
  leave(): Promise<void>
}

/** So many that each server tells more than 20 of them to read again: then an alert fires. */
const LAPTOPS = 90
/** How long tokens are valid, in s: they expire several times on this day. */
const VALIDITY_S = 40

const MANAGER_QUERY: ShownQuery = {
  text: 'subscription { ordersAggregate { count sum { amount } } }',
  sql: `select json_build_object('ordersAggregate', json_build_object(
    'count', count(*)::text, 'sum', json_build_object('amount', sum(amount)::text)))::text as result from orders`,
}
const CLERK_QUERY: ShownQuery = {
  text: 'subscription { products(orderBy: [{ stock: ASC }, { id: ASC }], limit: 5) { rows { id stock } } }',
  sql: `select json_build_object('products', json_build_object('rows', json_agg(p)))::text as result
    from (select id, stock from products order by stock, id limit 5) p`,
}

/** Signs a token of a clerk of a branch, or of the manager. */
export function tokenFor(
  { issuer }: Pick<Day, 'issuer'>,
  sub: string,
  branch?: string,
  { validity = VALIDITY_S, key }: { readonly validity?: number; readonly key?: 'next' } = {},
) {
  const role = branch === undefined ? 'manager' : 'clerk'
  return issuer.sign({ sub, role, ...(branch && { branch }) }, validity, key)
}

/** All clients begin before the first write. */
export async function gatherStaff(day: Day): Promise<Staff> {
  const { entrance, complaints } = day
  const complain = (text: string) => void complaints.push(text)
  const branches = new Map<string, string | undefined>()
  const common = (name: string, branch?: string) => {
    branches.set(name, branch)
    return { name, entrance, token: () => tokenFor(day, name, branch), complain }
  }
  const origin = JSON.parse(
    (await ask(entrance, PRODUCTS.rows?.snapshot as string, await tokenFor(day, 'first'))).body,
  )
  const cursor = origin.data.it.cursor as string
  const products = origin.data.it.rows as Row[]

  const record = (topic: Topic, branch?: string) =>
    TRANSPORTS.map(transport => {
      const person = branch === undefined ? 'manager' : `clerk of ${branch}`
      return new Recorder({
        ...common(`${person}, ${topic.name} over ${transport}`, branch),
        topic,
        transport,
      })
    })
  const recorders = [
    ...BRANCHES.flatMap(branch => record(ORDERS, branch)),
    ...record(ORDERS),
    ...record(PRODUCTS),
    ...record(NEWS, 'north'),
  ]
  for (const recorder of recorders) {
    await recorder.begin(cursor)
    if (recorder.topic === PRODUCTS) for (const row of products) recorder.rows.set(row.id, row)
    recorder.follow()
  }
  const laptops = await Promise.all(
    Array.from({ length: LAPTOPS }, async (_, i) => {
      const transport = TRANSPORTS[i % TRANSPORTS.length] as (typeof TRANSPORTS)[number]
      const laptop = new Recorder({
        ...common(`laptop ${i}`, 'east'),
        topic: PRODUCTS,
        transport,
        mayStartOver: true,
      })
      await laptop.begin()
      return laptop
    }),
  )
  const topics = [ORDERS, PRODUCTS]
  const screens = [
    ...BRANCHES.map(branch =>
      openScreen({ ...common(`screen of ${branch}`, branch), topics, query: CLERK_QUERY }),
    ),
    openScreen({ ...common('screen of the manager'), topics, query: MANAGER_QUERY }),
  ]
  const writers = startWriters(day.writerUrl, complain)
  return {
    writers,
    recorders,
    screens,
    laptops,
    branchOf: ({ name }) => branches.get(name),
    async leave() {
      await writers.stop()
      await Promise.all([...recorders, ...laptops].map(client => client.leave()))
      await Promise.all(screens.map(screen => screen.close()))
    },
  }
}
