import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  GRAPHQL_TRANSPORTS,
  overGraphqlWs,
  type Start,
  type TestSubscription,
} from '../../support/clients.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

let log: TestLog
let roles: TestRoles
let live: Live
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  token = await sign({ role: roles.user, team: 'red', exp: inSeconds(600) })
  await log.query(`create table people (id int primary key, team text, number int);
    create table secrets (id int primary key, team text, number int);
    alter table secrets enable row level security;
    create policy red on secrets to ${roles.user} using (team = current_setting('request.jwt.claims', true)::json ->> 'team');
    grant select on people, secrets to ${roles.user}, ${roles.anonymous}`)
  await log.watch('people', 'secrets')
  // A busy machine may take longer than 250 ms to ask a policy.
  live = await createLive(log, {
    jwtSecret: SECRET,
    anonymousRole: roles.anonymous,
    policyTimeout: 5000,
  })
  await live.ready('{ people { cursor } secrets { cursor } }')
})
afterAll(async () => {
  await live.close()
  await roles.drop()
  await log.close()
})

let token: string
const changes = (of: string, args: string) =>
  `subscription { changed: ${of}Changed(${args}) { operation transaction row { number } } }`

interface Change {
  readonly operation: string
  readonly transaction: string
  readonly row: { readonly number: number } | null
}

/** The first result: ends will be marked. */
const ANNOUNCED = { extensions: { transactionEnd: false } }

/** Reads changes up to an end, which comes once the change with the number has come. */
async function readTo(last: number, { results }: TestSubscription): Promise<Change[][]> {
  const parts: Change[][] = [[]]
  for (;;) {
    const { data, errors, extensions } = (await results.next(`the end after ${last}`)) as {
      data?: { changed: Change }
      errors?: unknown
      extensions?: { transactionEnd?: boolean }
    }
    const part = parts.at(-1) as Change[]
    if (data) part.push(data.changed)
    else if (extensions?.transactionEnd !== false) {
      expect({ errors, extensions }).toEqual({ errors: undefined, extensions: { transactionEnd: true } })
      if (parts.flat().some(({ row }) => row?.number === last)) return parts
      parts.push([])
    }
  }
}

let numbers = 0
/** Inserts rows in transactions of these sizes: every third is red, and the last one is blue. @returns the number of the last red row */
async function insert(into: string, sizes: readonly number[]): Promise<number> {
  let last = 0
  for (const size of sizes) {
    const from = numbers + 1
    numbers += size
    await log.query(
      `insert into ${into} select i, case when i < $2 and (i - $1) % 3 = 0 then 'red' else 'blue' end, i from generate_series($1::int, $2::int) i`,
      [from, numbers],
    )
    last = from + Math.floor((size - 2) / 3) * 3
  }
  return last
}
const redIn = (sizes: readonly number[]) => sizes.map(size => Math.floor((size - 2) / 3) + 1)

/** Whether each transaction is between two ends, with all of its changes. */
function expectWhole(parts: readonly Change[][], sizes: readonly number[]): void {
  const seen = new Map<string, number>()
  for (const part of parts) {
    const counts = new Map<string, number>()
    for (const { transaction } of part) counts.set(transaction, (counts.get(transaction) ?? 0) + 1)
    for (const [transaction, count] of counts) {
      expect(seen.has(transaction)).toBe(false)
      seen.set(transaction, count)
    }
  }
  expect([...seen.values()]).toEqual(redIn(sizes))
}

/** A page of the log has 2,000 events. */
const SIZES = [2, 7, 2500, 3, 5, 5000, 2]

describe.each([
  ['a filter', 'people', 'where: { team: { eq: "red" } }'],
  ['a policy', 'secrets', 'where: { number: { gt: 0 } }'],
])('of the transactions of which %s lets a part through', (_what, of, args) => {
  const start = (more: Start): Start => ({ token, transactionEnds: true, ...more })

  it.each(Object.entries(GRAPHQL_TRANSPORTS))(
    'all ends are marked, live and from the past, over %s',
    async (_name, subscribe) => {
      const first = await subscribe(live.server.url, changes(of, args), {}, start({}))
      expect(await first.results.next('the announcement')).toEqual(ANNOUNCED)
      const after = await live.cursor(of)
      const last = await insert(of, SIZES)
      expectWhole(await readTo(last, first), SIZES)
      const past = await subscribe(live.server.url, changes(of, args), {}, start({ after }))
      expectWhole(await readTo(last, past), SIZES)
      const more = await insert(of, [2])
      for (const stream of [first, past]) {
        expectWhole(await readTo(more, stream), [2])
        await stream.close()
      }
    },
  )
})

it.each(['people', 'secrets'])(
  'all ends of %s are marked where windows fold changes and the schema changes meanwhile',
  async of => {
    const args = `where: { team: { eq: "red" }, number: { gt: ${numbers} } }, every: 20`
    const [first, second] = [
      await live.subscribe(changes(of, args), { token, transactionEnds: true }),
      await live.subscribe(changes(of, `${args}, initial: true`), { token, transactionEnds: true }),
    ]
    expect(await first.results.next('the announcement')).toEqual(ANNOUNCED)
    for (;;) {
      const { data } = (await second.results.next('READY')) as { data?: { changed: Change } }
      if (data?.changed.operation === 'READY') break
    }
    await insert(of, SIZES)
    await log.query(`alter table ${of} add column more int`)
    await insert(of, SIZES)
    await log.query(`alter table ${of} drop column more`)
    const last = await insert(of, SIZES)
    const sizes = [...SIZES, ...SIZES, ...SIZES]
    expectWhole(await readTo(last, first), sizes)
    expectWhole((await readTo(last, second)).slice(-sizes.length - 1), sizes)
    await first.close()
    await second.close()
  },
)

it('a subscription with first rows has its rows, READY and an end', async () => {
  const stream = await overGraphqlWs(
    live.server.url,
    changes('people', 'initial: true, where: { number: { lt: 0 } }'),
    {},
    {
      token,
      transactionEnds: true,
    },
  )
  const got = await stream.results.take(3)
  expect(got.map(({ data }) => (data as { changed: Change } | undefined)?.changed.operation)).toEqual([
    undefined,
    'READY',
    undefined,
  ])
  await stream.close()
})

it('a client that does not ask for them gets no ends, nor does a live query', async () => {
  const plain = await live.subscribe(changes('people', 'where: null'), { token })
  const query = await live.subscribe(
    'subscription { people(where: { number: { lt: 0 } }) { rows { id } } }',
    {
      token,
      transactionEnds: true,
    },
  )
  await insert('people', [2, 2])
  await log.query('insert into people values (-1, null, -1)')
  const results = [...(await plain.results.take(5)), ...(await query.results.take(2))]
  expect(results.filter(({ data }) => data === undefined)).toEqual([])
  await plain.close()
  await query.close()
})
