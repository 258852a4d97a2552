import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { GRAPHQL_TRANSPORTS, type Subscribe, type TestSubscription } from '../support/clients.js'
import { resultOf } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { inSeconds, SECRET, sign } from '../support/tokens.js'
import { createRoles, type TestRoles } from '../support/viewer-roles.js'

/** Privileges are checked only every 10 s, so these tests must not depend on the check. */
const INTERVAL = 10_000

let log: TestLog
let roles: TestRoles
let server: ListenqlServer
let token: string
let group: string
/** Each test has its own table, because dropping a table during a catalogue check is tested elsewhere. */
let serial = 0

beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  group = `${log.database.name}_group`
  await log.database.query(`create role ${group}; create schema app authorization ${log.database.name}`)
  token = await sign({ role: roles.user, sub: 'ann', exp: inSeconds(600) })
})
afterAll(async () => {
  await roles?.drop()
  await log?.database.query(`drop owned by ${group} cascade; drop role ${group}`)
  await log?.close()
})
beforeEach(async () => {
  serial++
  // Grant again what a test has revoked.
  await log.database.query(`grant ${roles.user} to ${log.database.name}; grant ${group} to ${roles.user};
    alter role ${roles.user} nobypassrls nosuperuser`)
  await log.query(`create table if not exists others (id int primary key, owner text); create table app.notes${serial} (id int primary key, a text, b text);
    insert into others values (1, 'ann') on conflict do nothing;
    grant usage on schema app to ${roles.user}; grant select on app.notes${serial} to ${group}; grant select on others to ${roles.user}`)
  await log.watch(`app.notes${serial}`)
})
afterEach(async () => {
  await server?.close()
})

async function start(): Promise<void> {
  server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    jwtSecret: SECRET,
    roles: [roles.user], // needed while the role is exempt from row-level security
    catalogInterval: INTERVAL,
    policyTimeout: 5000,
  })
}

/** Runs one transaction, as a superuser if needed. */
async function transaction(...statements: string[]): Promise<void> {
  await log.database.query(['begin', ...statements, 'commit'].join(';'))
}

const named = (sql: string) =>
  sql
    .replaceAll('TABLE', `app.notes${serial}`)
    .replaceAll('USER', roles.user)
    .replaceAll('GROUP', group)
    .replaceAll('LOGIN', log.database.name)

interface Result {
  data?: { appNotesChanged: { operation: string } } | null
  errors?: { extensions: { code: string } }[]
}

/** Collects everything until an error, a close without one, or TRUNCATE, which reaches every viewer that may read the table. */
async function untilEnd({ results, ended }: TestSubscription): Promise<{ shown: string; end: string }> {
  const closed = ended.then(how => ({ end: `closed: ${how}` }))
  let shown = ''
  for (;;) {
    const result = await Promise.race([results.next('the end'), closed])
    if ('end' in result) return { shown, end: String(result.end) }
    const { data, errors } = result as Result
    if (errors) return { shown, end: errors[0]?.extensions.code ?? '' }
    shown += JSON.stringify(data)
    if (data?.appNotesChanged.operation === 'TRUNCATE') return { shown, end: 'TRUNCATE' }
  }
}

const both = () =>
  `subscription { appNotesChanged: appNotes${serial}Changed { operation key { id } row { id a } old { a } } }`
const SECURE = 'alter table TABLE enable row level security'

/** Changes in the writer's transaction, before the row that must stay hidden; and the code with which the stream ends. */
const CHANGES: readonly (readonly [name: string, before: readonly string[], change: readonly string[], code: string])[] = [
  ['row-level security', [], [SECURE], 'SCHEMA_CHANGED'],
  ['forced row-level security', ['alter table TABLE owner to USER', SECURE], ['alter table TABLE force row level security'], 'SCHEMA_CHANGED'],
  ['the end of BYPASSRLS', [SECURE, 'alter role USER bypassrls'], ['alter role USER nobypassrls'], 'SCHEMA_CHANGED'],
  ['REVOKE of the table', [], ['revoke select on TABLE from GROUP'], 'FORBIDDEN'],
  ['REVOKE of the column', ['revoke select on TABLE from GROUP', 'grant select (id, a, b) on TABLE to GROUP'], ['revoke select (a) on TABLE from GROUP'], 'FORBIDDEN'],
  ['REVOKE of the schema', [], ['revoke usage on schema app from USER'], 'FORBIDDEN'],
  ['REVOKE of the group', [], ['revoke GROUP from USER'], 'FORBIDDEN'],
  ['REVOKE of the role from the login', [], ['revoke USER from LOGIN'], 'FORBIDDEN'],
  ['a column that is dropped and added again', ['revoke select on TABLE from GROUP', 'grant select (id, a, b) on TABLE to GROUP'], ['alter table TABLE drop column a', 'alter table TABLE add column a text'], 'SCHEMA_CHANGED'],
  ['column names that are swapped', ['revoke select on TABLE from GROUP', 'grant select (id, a) on TABLE to GROUP'], ['alter table TABLE rename a to x', 'alter table TABLE rename b to a', 'alter table TABLE rename x to b'], 'CURSOR_EXPIRED'],
  ['REVOKE of a column under policies', [SECURE, 'create policy p on TABLE using (true)', 'revoke select on TABLE from GROUP', 'grant select (id, a, b) on TABLE to GROUP'], ['revoke select (a) on TABLE from GROUP'], 'FORBIDDEN'],
  ['the end of SUPERUSER', [SECURE, 'alter role USER superuser'], ['alter role USER nosuperuser'], 'SCHEMA_CHANGED'],
] // biome-ignore format: a table

const SECRET_ROW = `insert into TABLE (id, a, b) values (2, 'secret', 'secret')`

describe.each(Object.entries(GRAPHQL_TRANSPORTS).slice(0, 2))('%s', (_name, subscribe: Subscribe) => {
  it.each(CHANGES)('judges a row by privileges as new as itself: %s', async (_what, before, change, code) => {
    for (const sql of before) await log.database.query(named(sql))
    await start()
    const stream = await subscribe(server.url, both(), {}, { token })
    await log.database.query(named(`insert into TABLE (id, a, b) values (1, 'fine', 'fine')`))
    expect(JSON.stringify(await stream.results.next())).toContain('fine')
    await transaction(...change.map(named), named(SECRET_ROW))
    expect(await untilEnd(stream)).toEqual({ shown: '', end: code })
    await stream.close()
  })

  it.each(CHANGES)(
    'judges a row that is written after a change, before the next check: %s',
    async (_what, before, change, code) => {
      for (const sql of before) await log.database.query(named(sql))
      await start()
      const stream = await subscribe(server.url, both(), {}, { token })
      await log.database.query(named(`insert into TABLE (id, a, b) values (1, 'fine', 'fine')`))
      expect(JSON.stringify(await stream.results.next())).toContain('fine')
      for (const sql of change) await log.database.query(named(sql))
      await log.database.query(named(SECRET_ROW))
      expect(await untilEnd(stream)).toEqual({ shown: '', end: code })
      await stream.close()
    },
  )

  it.each(CHANGES)(
    'judges replays, snapshots and new subscriptions in the same way: %s',
    async (_what, before, change) => {
      for (const sql of before) await log.database.query(named(sql))
      await start()
      const stream = await subscribe(server.url, both(), {}, { token })
      await log.database.query(named(`insert into TABLE (id, a, b) values (1, 'fine', 'fine')`))
      const first = await stream.results.next()
      const after = (first as { extensions: { cursor: string } }).extensions.cursor
      await stream.close()
      await transaction(...change.map(named), named(SECRET_ROW))
      const snapshot = await resultOf(server.url, `{ appNotes${serial} { rows { id a } } }`, { token })
      expect(JSON.stringify(snapshot)).not.toContain('secret')
      const attempts = await Promise.allSettled(
        [{}, { after }].map(start => subscribe(server.url, both(), {}, { token, ...start })),
      )
      await log.database.query(named(`insert into TABLE (id, a, b) values (3, 'secret', 'secret')`))
      await log.database.query(named('truncate TABLE'))
      for (const attempt of attempts) {
        if (attempt.status === 'rejected') continue // refused, which over graphql-ws is a close
        const { shown, end } = await untilEnd(attempt.value)
        expect(shown).not.toContain('secret')
        expect(end).toMatch(/^(FORBIDDEN|SCHEMA_CHANGED|CURSOR_EXPIRED|TRUNCATE|closed: 4403)$/)
        await attempt.value.close()
      }
    },
  )
})

describe('policies', () => {
  const subscribe = GRAPHQL_TRANSPORTS['graphql-ws'] as Subscribe

  it.each<readonly [string, readonly string[], readonly string[]]>([
    ['that are dropped', ['create policy p on TABLE using (true)'], ['drop policy p on TABLE']],
    [
      'that are altered',
      ['create policy p on TABLE using (true)'],
      ['alter policy p on TABLE using (false)'],
    ],
    ['that are for others', ['create policy p on TABLE using (true)'], ['alter policy p on TABLE to LOGIN']],
    [
      'that are added',
      ['create policy p on TABLE using (true)'],
      ['create policy r on TABLE as restrictive using (id <> 2)'],
    ],
    [
      'that read another table',
      [`create policy p on TABLE using (exists (select from public.others))`],
      ['delete from public.others'],
    ],
  ])('%s apply to the rows that are written next, in the same transaction', async (_what, before, change) => {
    for (const sql of [SECURE, ...before]) await log.database.query(named(sql))
    await start()
    const stream = await subscribe(server.url, both(), {}, { token })
    await log.database.query(named(`insert into TABLE (id, a, b) values (1, 'fine', 'fine')`))
    expect(JSON.stringify(await stream.results.next())).toContain('fine')
    await transaction(...change.map(named), named(SECRET_ROW))
    await log.database.query(named('truncate TABLE'))
    expect(await untilEnd(stream)).toEqual({ shown: expect.not.stringContaining('secret'), end: 'TRUNCATE' })
    await stream.close()
  })
})

it('a subscription that begins while a page is delivered gets nothing of it under former privileges', async () => {
  await start()
  const subscribe = GRAPHQL_TRANSPORTS['graphql-ws'] as Subscribe
  // The privileges are cached from before, and no subscription relies on them any more.
  const former = await subscribe(server.url, both(), {}, { token })
  await log.database.query(named(`insert into TABLE (id, a, b) values (1, 'fine', 'fine')`))
  await former.results.next()
  await former.close()
  await transaction(
    named('revoke select on TABLE from GROUP'),
    named(`insert into TABLE select i, 'secret', 'secret' from generate_series(10, 20000) i`),
  )
  const late = await Promise.allSettled(
    Array.from({ length: 20 }, () => subscribe(server.url, both(), {}, { token })),
  )
  for (const attempt of late) {
    if (attempt.status === 'rejected') continue
    expect(await untilEnd(attempt.value)).toEqual({ shown: '', end: 'FORBIDDEN' })
    await attempt.value.close()
  }
})
