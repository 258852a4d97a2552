import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation } from '../../../src/index.js'
import { GRAPHQL_TRANSPORTS, type TestSubscription } from '../../support/clients.js'
import { query, resultOf } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

/** What one row of a table can contain: SQL of the columns that it sets, and what arrives. */
interface Odd {
  readonly set: Readonly<Record<string, string>>
  readonly row: Readonly<Record<string, unknown>>
  readonly errors?: readonly string[]
}

const deep = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown
const digits = '9'.repeat(100_000)
const ODD: Readonly<Record<string, Odd>> = {
  'json nested 5,000 deep': {
    set: {
      doc: `(repeat('[', 5000) || repeat(']', 5000))::json`,
      bin: `(repeat('[', 5000) || repeat(']', 5000))::jsonb`,
    },
    row: { doc: deep(5000), bin: deep(5000) },
  },
  'half a surrogate pair in json': {
    set: { doc: String.raw`'{"a": "\ud800"}'` },
    row: { doc: { a: '\ud800' } },
  },
  'a NUL in json': { set: { doc: String.raw`'{"a": "\u0000"}'` }, row: { doc: { a: '\u0000' } } },
  'a number of 100,000 digits': {
    set: { doc: `repeat('9', 100000)::json`, n: `repeat('9', 100000)::numeric` },
    row: { doc: Number.POSITIVE_INFINITY, n: digits }, // as this test's client parses the JSON number
  },
  'the ends of time': {
    set: { d: `'infinity'`, at: `'-infinity'`, ns: `'{NaN,Infinity}'` },
    row: { d: 'infinity', at: '-infinity', ns: [null, null] },
    errors: ['row.ns.0', 'row.ns.1'],
  },
  'an array of five dimensions': {
    set: { ns: `'{{{{{1,2}}}}}'` },
    row: { ns: [null] },
    errors: ['row.ns.0'],
  },
  'a megabyte of control characters': {
    set: { v: 'repeat(chr(1), 1000000)' },
    row: { v: '\u0001'.repeat(1_000_000) },
  },
  'bytes, intervals and texts of every kind': {
    set: { v: `E'\\\\ " \\u2028 \\U0001F418 \\r\\n'`, b: `'\\x00ff'`, i: `'-1 year 2 days'` },
    row: { v: '\\ " \u2028 🐘 \r\n', b: 'AP8=', i: 'P-1Y2D' },
  },
}

const COLUMNS =
  'v text, doc json, bin jsonb, n numeric, d date, at timestamptz, ns float8[], b bytea, i interval'
const FIELDS = 'id v doc bin n d at ns b i'
const CHANGES = `subscription ($after: String) { oddChanged(after: $after) { row { ${FIELDS} } } }`
const NOTHING = { v: null, doc: null, bin: null, n: null, d: null, at: null, ns: null, b: null, i: null }

let log: TestLog
let roles: TestRoles
const faults: Observation[] = []
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table odd (id int primary key, ${COLUMNS});
    grant select on odd to ${roles.user};
    alter table odd enable row level security;
    create policy present on odd to ${roles.user} using (
      doc::text is distinct from 'x' and bin::text is distinct from 'x' and n is distinct from 0 and v is distinct from 'x')`)
  await log.query(
    `create table wide (${Array.from({ length: 1600 }, (_, i) => `c${i} int`).join(', ')}, primary key (c0))`,
  )
  await log.watch('odd', 'wide')
})
afterAll(async () => {
  await roles?.drop()
  await log?.close()
})

async function start(options: object): Promise<ListenqlServer> {
  return await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    policyTimeout: 10_000,
    maxEvent: 2 ** 25,
    observe: observation => {
      if (observation.type === 'fault') faults.push(observation)
    },
    ...options,
  })
}

interface Result {
  readonly data: { readonly oddChanged: { readonly row: Record<string, unknown> } } | null
  readonly errors?: readonly {
    readonly path?: readonly unknown[]
    readonly extensions: { readonly code: string }
  }[]
}

async function expectAll({ results }: TestSubscription, from: number): Promise<void> {
  for (const [i, [what, odd]] of Object.entries(ODD).entries()) {
    const result = (await results.next(what)) as unknown as Result
    const errors = result.errors?.map(({ path = [] }) => path.slice(1).join('.')) ?? []
    expectOne(what, odd, from + i, result.data?.oddChanged.row ?? {}, errors)
  }
}

/** The same in a snapshot. */
async function expectRead({ url }: ListenqlServer, token: string | undefined, from: number): Promise<void> {
  const all = Object.entries(ODD)
  const range = `where: {id: {gte: ${from}, lt: ${from + all.length}}}, orderBy: [{id: ASC}]`
  const result = await resultOf(url, `{ odd(${range}) { rows { ${FIELDS} } } }`, { token })
  const { data, errors = [] } = result as {
    data: { odd: { rows: Record<string, unknown>[] } }
    errors?: { path: unknown[] }[]
  }
  for (const [i, [what, odd]] of all.entries()) {
    const paths = errors
      .filter(({ path }) => path[2] === i)
      .map(({ path }) => `row.${path.slice(3).join('.')}`)
    expectOne(what, odd, from + i, data.odd.rows[i] ?? {}, paths)
  }
}

function expectOne(
  what: string,
  { row, errors = [] }: Odd,
  id: number,
  found: Record<string, unknown>,
  foundErrors: readonly string[],
): void {
  expect(foundErrors, what).toEqual(errors)
  expect(Object.keys(found), what).toEqual(FIELDS.split(' '))
  for (const [field, value] of Object.entries({ ...NOTHING, id, ...row }))
    expect(isSame(found[field], value), `${what}: ${field}`).toBe(true)
}

/** As texts where toEqual would overflow the stack. */
function isSame(a: unknown, b: unknown): boolean {
  let [x, y] = [a, b]
  while (Array.isArray(x) && Array.isArray(y) && x.length === 1 && y.length === 1) [x, y] = [x[0], y[0]]
  return JSON.stringify(x) === JSON.stringify(y)
}

let next = 0
async function writeAll(): Promise<number> {
  const from = next
  for (const { set } of Object.values(ODD)) {
    await log.query(
      `insert into odd (id, ${Object.keys(set).join(', ')}) values (${next++}, ${Object.values(set).join(', ')})`,
    )
  }
  return from
}

async function cursorOf({ url }: ListenqlServer, token: string | undefined): Promise<string> {
  const result = await resultOf(url, '{ odd(limit: 0) { cursor } }', { token })
  return (result as { data: { odd: { cursor: string } } }).data.odd.cursor
}

describe.each([
  ['a viewer without a role', async () => ({ options: {}, token: undefined })],
  [
    'a viewer under row-level security',
    async () => ({
      options: { jwtSecret: SECRET },
      token: await sign({ role: roles.user, sub: 'ann', exp: inSeconds(600) }),
    }),
  ],
] as const)('any content of one row reaches %s', (_who, viewer) => {
  it.each(Object.entries(GRAPHQL_TRANSPORTS))(
    'over %s, live and replayed, and in a snapshot',
    async (_name, subscribe) => {
      const { options, token } = await viewer()
      const server = await start(options)
      const after = await cursorOf(server, token)
      const live = await subscribe(server.url, CHANGES, {}, { token })
      const from = await writeAll()
      await expectAll(live, from)
      const replayed = await subscribe(server.url, CHANGES, {}, { token, after })
      await expectAll(replayed, from)
      await expectRead(server, token, from)
      await live.close()
      await replayed.close()
      await server.close()
      expect(faults).toEqual([])
    },
  )
})

it('a row of 1,600 columns is delivered, and is in the snapshot', async () => {
  const server = await start({})
  const [subscribe] = Object.values(GRAPHQL_TRANSPORTS)
  const subscription = await subscribe!(server.url, 'subscription { wideChanged { row { c0 c800 c1599 } } }')
  const names = Array.from({ length: 1600 }, (_, i) => `c${i}`)
  await log.query(`insert into wide values (${names.map((_, i) => i)}); update wide set c800 = -1`)
  const rows: unknown[] = []
  for (let i = 0; i < 2; i++)
    rows.push(((await subscription.results.next()) as { data: { wideChanged: object } }).data.wideChanged)
  expect(rows).toEqual([
    { row: { c0: 0, c800: 800, c1599: 1599 } },
    { row: { c0: 0, c800: -1, c1599: 1599 } },
  ])
  const read = await query(server.url, `{ wide { rows { ${names.join(' ')} } } }`)
  expect((read.wide as { rows: object[] }).rows).toEqual([
    Object.fromEntries(names.map((name, i) => [name, i === 800 ? -1 : i])),
  ])
  await subscription.close()
  await server.close()
})

describe('a key that is an array whose indexes do not begin at 1', () => {
  const DOCUMENT =
    'subscription ($after: String) { bentChanged(after: $after) { operation key { k } row { k v } } }'
  const deleted = (k: readonly (number | null)[]) => ({ operation: 'DELETE', key: { k }, row: null })
  interface Bent {
    readonly data: { readonly bentChanged: object }
    readonly errors?: readonly { readonly path: readonly unknown[]; readonly message: string }[]
  }
  beforeAll(async () => {
    await log.query(`create table bent (k int[] primary key, v int); grant select on bent to ${roles.user};
      alter table bent enable row level security; create policy straight on bent to ${roles.user} using (k <> '[0:1]={1,2}')`)
    await log.watch('bent')
  })

  it('never names another row: its value is an error', async () => {
    const server = await start({})
    const [subscribe] = Object.values(GRAPHQL_TRANSPORTS)
    const { bent } = (await query(server.url, '{ bent { cursor } }')) as { bent: { cursor: string } }
    const live = await subscribe!(server.url, DOCUMENT)
    await log.query(
      `insert into bent values ('{1,2}', 1), ('[0:1]={1,2}', 2); delete from bent where k = '[0:1]={1,2}'`,
    )
    const replayed = await subscribe!(server.url, DOCUMENT, { after: bent.cursor })
    for (const subscription of [live, replayed]) {
      const next = async () => (await subscription.results.next('a change')) as unknown as Bent
      expect(await next()).toMatchObject({
        data: { bentChanged: { key: { k: [1, 2] }, row: { k: [1, 2], v: 1 } } },
      })
      const odd = await next()
      expect(odd.data.bentChanged).toEqual({
        operation: 'INSERT',
        key: { k: [null] },
        row: { k: [null], v: 2 },
      })
      expect(odd.errors?.map(({ path }) => path.slice(1).join('.')).sort()).toEqual(['key.k.0', 'row.k.0'])
      const gone = await next()
      expect(gone.data.bentChanged).toEqual(deleted([null]))
      expect(gone.errors).toMatchObject([
        {
          message: 'the value is an array whose indexes do not begin at 1, which GraphQL cannot show',
          extensions: { code: 'VALUE_NOT_SHOWN' },
        },
      ])
      await subscription.close()
    }
    await server.close()
  })

  it('is told from others by a policy', async () => {
    const server = await start({ jwtSecret: SECRET })
    const token = await sign({ role: roles.user, sub: 'ann', exp: inSeconds(600) })
    const [subscribe] = Object.values(GRAPHQL_TRANSPORTS)
    const stream = await subscribe!(server.url, DOCUMENT, {}, { token })
    await log.query(`insert into bent values ('[0:1]={1,2}', 2), ('[2:3]={1,2}', 3); delete from bent`)
    const arrived: unknown[] = []
    for (let i = 0; i < 3; i++) {
      const { data } = (await stream.results.next('a change')) as unknown as Bent
      arrived.push(data.bentChanged)
    }
    expect(arrived[0]).toEqual({ operation: 'INSERT', key: { k: [null] }, row: { k: [null], v: 3 } })
    expect(arrived.slice(1)).toEqual(expect.arrayContaining([deleted([1, 2]), deleted([null])]))
    await stream.close()
    await server.close()
  })
})
