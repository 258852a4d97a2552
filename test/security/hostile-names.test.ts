import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type Observation } from '../../src/index.js'
import { describeInBrowser } from '../support/browser.js'
import { GRAPHQL_TRANSPORTS, type Subscribe } from '../support/clients.js'
import { createLog, type TestLog } from '../support/log.js'
import { post } from '../support/raw.js'
import { SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'
import { VIEWER_TRANSPORTS } from '../support/viewer-transports.js'
import { waitUntil } from '../support/wait.js'

// Names with a meaning in SQL, GraphQL, HTML, JSON, URLs or HTTP pass through the whole server; each arrives unchanged and has no effect.

/** Up to 63 bytes, because Postgres cuts longer names. */
const NAMES: readonly string[] = [
  `"; drop table victim; --`,
  `'); drop table victim; --`,
  `$$; drop table victim; $$`,
  `a\\'b\\"c\\\\`,
  `E'\\x27'`,
  `<script>document.title=1</script>`,
  `<img src=x onerror=document.title=1>`,
  `" onmouseover="document.title=1`,
  '{ channels } # ',
  `"""block""" @skip(if: true)`,
  '${claims.sub}',
  '__proto__',
  'constructor',
  '__typename',
  'true',
  'null',
  'select',
  'Query',
  '日本語 😀',
  '\u202eolleh',
  'a\tb\nc\r\nX-Injected: 1',
  '%00%0d%0a/../..',
  'ſK', // letters that become ASCII when their case changes
]

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
const observations: Observation[] = []
const token = (claims: Record<string, unknown> = {}) => sign({ role: roles.user, sub: 'a', ...claims })
const quote = pg.escapeIdentifier
const literal = pg.escapeLiteral

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query('create table victim (id int primary key)')
  for (const [i, name] of NAMES.entries()) {
    const table = quote(name)
    const column = quote(name)
    const mood = quote(`${name.slice(0, 40)} mood`)
    await log.query(`create type ${mood} as enum (${literal(name)}, 'other');
      create table ${table} (${quote(`id ${i}`)} int primary key, ${column} text, mood ${mood});
      comment on table ${table} is ${literal(`*/ """ ${name}`)};
      comment on column ${table}.${column} is ${literal(`${name} \\""" #`)};
      comment on type ${mood} is ${literal(name)};
      alter table ${table} enable row level security;
      create policy ${quote(name)} on ${table} using (${column} = current_setting('request.jwt.claims')::json ->> ${literal(name)});
      grant select on ${table} to ${roles.user}`)
    await log.watch(quote(name))
  }
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    channels: ['*'],
    policyTimeout: 10_000,
    catalogInterval: 100,
    introspection: true,
    maxUrl: 16_000,
    observe: observation => observations.push(observation),
  })
  await waitUntil(async () => (await watched()).length === NAMES.length, 'the tables')
}, 120_000)
afterAll(async () => {
  await server?.close()
  await roles?.drop()
  await log?.close()
})

interface Watched {
  readonly name: string
  readonly comment: string
  readonly queryField: string
  readonly subscriptionField: string
  readonly columns: readonly { name: string; field: string; comment: string | null }[]
}

async function ask(
  query: string,
  variables: Record<string, unknown> = {},
  claims = {},
): Promise<Record<string, unknown>> {
  const { body } = await post(
    server.url,
    { query, variables },
    { authorization: `Bearer ${await token(claims)}` },
  )
  return JSON.parse(body) as Record<string, unknown>
}

async function watched(): Promise<readonly Watched[]> {
  const answer = await ask(
    '{ watchedTables { name comment queryField subscriptionField columns { name field comment } } }',
  )
  return (answer.data as { watchedTables: readonly Watched[] }).watchedTables
}

const noFaults = () =>
  expect(observations.filter(({ type }) => type === 'fault' || type === 'log.lost')).toEqual([])

describe('tables, columns, enums, labels, comments, policies and claims', () => {
  it('have names in GraphQL, and their original names are shown unchanged', async () => {
    const tables = await watched()
    expect(new Set(tables.map(({ name }) => name))).toEqual(new Set(NAMES))
    for (const { name, comment, queryField, columns } of tables) {
      expect(comment).toBe(`*/ """ ${name}`)
      expect(columns.map(column => column.name)).toContain(name)
      expect(columns.find(column => column.name === name)?.comment).toBe(`${name} \\""" #`)
      for (const each of [queryField, ...columns.map(({ field }) => field)])
        expect(each).toMatch(/^(?!__)[A-Za-z_][A-Za-z0-9_]*$/)
    }
    const schema = await ask('{ __schema { types { name description enumValues { name description } } } }')
    expect(schema.errors).toBeUndefined()
  })

  it.each(Object.entries(GRAPHQL_TRANSPORTS))(
    'come in snapshots and changes, under their policies, over %s',
    async (transport, subscribe: Subscribe) => {
      const place = Object.keys(GRAPHQL_TRANSPORTS).indexOf(transport)
      for (const [i, table] of (await watched()).entries()) {
        const { name, queryField, subscriptionField, columns } = table
        const field = columns.find(column => column.name === name)?.field as string
        const claims = { [name]: name }
        const where = `where: {${field}: {eq: $v, in: [$v]}}`
        const { data } = await ask(
          `query ($v: String!) { s: ${queryField}(${where}) { cursor } }`,
          { v: name },
          claims,
        )
        const after = (data as { s: { cursor: string } }).s.cursor
        const key = place * 1000 + i
        const subscription = await subscribe(
          server.url,
          `subscription ($v: String!, $after: String) { s: ${subscriptionField}(${where}, after: $after) { row { v: ${field} mood } } }`,
          { v: name, after },
          { token: await token(claims) },
        )
        // The viewer gets all of its own rows and none of another viewer.
        await log.query(`insert into ${quote(name)} values ($1, 'of somebody else', 'other'), ($2, $3, $4)`, [
          key * 2,
          key * 2 + 1,
          name,
          name,
        ])
        expect(await subscription.results.next(name)).toMatchObject({ data: { s: { row: { v: name } } } })
        await subscription.close()
        const rows = await ask(
          `query ($v: String!) { s: ${queryField}(${where}, limit: 1) { rows { v: ${field} mood } } }`,
          { v: name },
          claims,
        )
        expect(rows).toMatchObject({ data: { s: { rows: [{ v: name }] } } })
        const without = await ask(`{ s: ${queryField} { rows { v: ${field} } } }`)
        expect(without).toEqual({ data: { s: { rows: [] } } })
      }
      expect(await log.query('select * from victim')).toEqual([])
      noFaults()
    },
    120_000,
  )
})

describe.each(VIEWER_TRANSPORTS.map(transport => [transport.name, transport] as const))(
  'channels, over %s',
  (_name, { listen }) => {
    it('can be listened to under their own names, and deliver what was sent', async () => {
      for (const name of NAMES) {
        const attempt = await listen(server.url, name, await token())
        if (attempt.kind !== 'open') throw new Error(`${name}: ${attempt.text}`)
        await log.database.query('select pg_notify($1, $2)', [name, name])
        expect(JSON.stringify(await attempt.subscription.results.next(name))).toContain(
          JSON.stringify(name).slice(1, -1),
        )
        await attempt.subscription.close()
      }
      expect(await log.query('select * from victim')).toEqual([])
      noFaults()
    }, 60_000)
  },
)

describeInBrowser('the page', open => {
  it('shows channels and payloads as text, and sends no outside request', async () => {
    const plain = await createServer({
      databaseUrl: log.database.url,
      port: 0,
      host: 'localhost',
      logLevel: 'silent',
    })
    try {
      const { page, outside, violations, errors } = await open()
      await page.goto(plain.url)
      const evil = NAMES.filter(name => /[<"]/.test(name))
      for (const name of evil) {
        await page.getByLabel('Enter a channel name').fill(name)
        await page.getByRole('button', { name: 'Connect', exact: true }).click()
      }
      const listening = () => page.locator('article').getByRole('status').allTextContents()
      await expect.poll(listening).toEqual(evil.map(() => 'Listening'))
      for (const name of evil) {
        await log.database.query('select pg_notify($1, $2)', [name, name])
        await log.database.query('select pg_notify($1, $2)', [
          name,
          JSON.stringify({ [name]: '<iframe src=//evil.example>' }),
        ])
        await expect.poll(() => page.locator('pre').allTextContents()).toContain(name)
      }
      expect(await page.locator('article :is(img, script, iframe)').count()).toBe(0)
      expect(await page.title()).toBe('listenql')
      expect([outside(), violations(), errors()]).toEqual([[], [], []])
    } finally {
      await plain.close()
    }
  }, 60_000)
})
