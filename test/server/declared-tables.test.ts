import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../src/index.js'
import { overGraphqlWs } from '../support/clients.js'
import { query } from '../support/graphql-request.js'
import { createLive, nextChange } from '../support/live.js'
import { createLog, type TestLog } from '../support/log.js'
import { createObserved, type Observed } from '../support/observed.js'
import { startPrivatePostgres } from '../support/postgres.js'
import { createServerLogin, type ServerLogin } from '../support/server-login.js'

let log: TestLog
let observed: Observed
const servers: { close(): Promise<void> }[] = []

beforeEach(async () => {
  log = await createLog({ migrated: false })
  await log.query(`create schema chat; create table people (id int primary key, v text);
    create table chat.messages (id int primary key); create table chat.draft (id int primary key)`)
  observed = createObserved()
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
  await log.close()
})

async function start(tables: readonly string[], options: ServerOptions = {}) {
  const live = await createLive(log, { tables, observe: observed.observe, ...options })
  servers.push(live)
  return live
}
const watched = async () =>
  (await log.query('select relid::regclass::text as name from listenql.watched order by 1')).map(
    ({ name }) => name,
  )
const tablesOf = async ({ url }: Pick<ListenqlServer, 'url'>) =>
  (
    (await query(url, '{ watchedTables { schema name } }')).watchedTables as {
      schema: string
      name: string
    }[]
  ).map(({ schema, name }) => (schema === 'public' ? name : `${schema}.${name}`))

describe('the tables of --tables', () => {
  it('are watched before the first client gets an answer, in a database without schema listenql', async () => {
    const { server } = await start(['people', 'chat.*', '!chat.draft'])
    // The first request: the schema has the tables.
    expect(await tablesOf(server)).toEqual(['chat.messages', 'people'])
    const subscription = await overGraphqlWs(server.url, 'subscription { peopleChanged { operation } }')
    await log.query(`insert into people values (1, 'a')`)
    expect(await nextChange(subscription)).toEqual({ operation: 'INSERT' })
    await subscription.close()
    expect(observed.all('tables.watched')).toEqual([
      { type: 'tables.watched', tables: ['chat.messages', 'people'] },
    ])
    expect(observed.all('catalog.absent')).toEqual([])
  })

  it('are watched when they are created later, and pass on their changes', async () => {
    const live = await start(['chat.*', 'notes'])
    expect(observed.all('tables.unmatched')).toEqual([{ type: 'tables.unmatched', patterns: ['notes'] }])
    await log.query('create table chat.rooms (id int primary key); create table notes (id int primary key)')
    await live.ready('{ chatRooms { rows { id } } notes { rows { id } } }')
    const subscription = await live.subscribe('subscription { chatRoomsChanged { operation } }')
    await log.query('insert into chat.rooms values (1)')
    expect(await nextChange(subscription)).toEqual({ operation: 'INSERT' })
    await subscription.close()
    expect(await watched()).toEqual(['chat.draft', 'chat.messages', 'chat.rooms', 'notes'])
  })

  it('keep their histories at the next start', async () => {
    const first = await start(['people'])
    await first.ready('{ people { rows { id } } }')
    const state = 'select generation, since from listenql.watched'
    const before = await log.query(state)
    await first.close()
    const again = await start(['people'])
    await again.ready('{ people { rows { id } } }')
    expect(await log.query(state)).toEqual(before)
    expect(observed.all('tables.watched').length).toBe(1)
  })

  it('leave other watched tables as they are, and name them once', async () => {
    await start(['chat.draft', 'people'])
    await servers.pop()?.close()
    const live = await start(['people'])
    expect(await tablesOf(live.server)).toEqual(['chat.draft', 'people'])
    expect(observed.all('tables.undeclared')).toEqual([{ type: 'tables.undeclared', tables: ['chat.draft'] }])
    expect(observed.all('tables.unwatched')).toEqual([])
  })

  it('are the only ones with --unwatch-others, which acts at the start only', async () => {
    await start(['chat.draft', 'people'])
    await servers.pop()?.close()
    const live = await start(['people'], { unwatchOthers: true })
    expect(await tablesOf(live.server)).toEqual(['people'])
    expect(observed.all('tables.unwatched')).toEqual([{ type: 'tables.unwatched', tables: ['chat.draft'] }])
    await log.query(`select listenql.watch('chat.draft')`)
    await live.ready('{ chatDraft { rows { id } } }')
    expect(await watched()).toEqual(['chat.draft', 'people'])
  })

  it('are watched once by three servers that start at the same time', async () => {
    await log.query(
      `do $$ begin for i in 1..25 loop execute format('create table many_%s (id int primary key)', i); end loop; end $$`,
    )
    const three = await Promise.all(Array.from({ length: 3 }, () => start(['many_*', 'people'])))
    for (const live of three) expect((await tablesOf(live.server)).length).toBe(26)
    expect(observed.all('tables.unwatchable')).toEqual([])
    expect(
      await log.query(
        'select count(*)::int as n, min(generation) as low, max(generation) as high, bool_and(since is not null) as whole from listenql.watched',
      ),
    ).toEqual([{ n: 26, low: 1, high: 1, whole: true }])
    expect(
      await log.query(
        `select count(*)::int as n from pg_trigger where tgrelid in (select relid from listenql.watched) group by tgrelid having count(*) <> 5`,
      ),
    ).toEqual([])
  })

  it('do not wait for a table in use, which is watched later', async () => {
    const holder = await log.connect()
    await holder.query('begin; insert into people values (1)')
    const live = await start(['people', 'chat.messages'])
    await live.ready('{ chatMessages { rows { id } } }')
    await observed.until('tables.unwatchable')
    expect(observed.all('tables.unwatchable')).toMatchObject([
      {
        tables: ['people'],
        message: expect.stringContaining('no lock on the table within 1 s: held by pid'),
      },
    ])
    await holder.query('commit')
    await live.ready('{ people { rows { id } } }')
  })

  it('that are views are reported if they are named, and skipped if a glob includes them', async () => {
    await log.query('create view chat.v as select 1; create view w as select 1')
    await start(['chat.*', 'w'])
    expect(observed.all('tables.unwatchable')).toEqual([
      { type: 'tables.unwatchable', tables: ['w'], message: 'it is a view', hint: undefined },
    ])
    expect(await watched()).toEqual(['chat.draft', 'chat.messages'])
  })
})

describe('a login that lacks a right', () => {
  let login: ServerLogin
  const url = () => {
    const { user, password } = login.config
    const changed = new URL(log.database.url)
    changed.username = String(user)
    changed.password = String(password)
    return changed.href
  }
  afterEach(() => login.close())

  it('serves what is watched, and names the tables, the right and the command', async () => {
    const owner = await start(['people'])
    await owner.close()
    login = await createServerLogin(log)
    await login.mayRead('people')
    const live = await start(['people', 'chat.messages'], { databaseUrl: url() })
    expect(await tablesOf(live.server)).toEqual(['people'])
    expect(observed.all('tables.unwatchable')).toEqual([
      {
        type: 'tables.unwatchable',
        tables: ['chat.messages'],
        message: `login ${login.name} lacks EXECUTE on listenql.watch`,
        hint: `the owner of schema listenql and of the tables (${log.database.name}) runs: listenql watch --grant-to ${login.name} chat.messages`,
      },
    ])
  })

  it('gets no error where it may not create schema listenql, but the commands', async () => {
    login = await createServerLogin(log, { granted: false })
    await start(['people'], { databaseUrl: url() })
    expect(observed.all('tables.unwatchable')).toMatchObject([
      {
        tables: ['people'],
        message: `login ${login.name} lacks CREATE on database ${log.database.name}, so it cannot create schema listenql`,
        hint: `the owner of the database runs: listenql install --grant-to ${login.name}; then the owner of the tables: listenql watch --grant-to ${login.name} people`,
      },
    ])
    expect(observed.all('catalog.absent').length).toBe(1)
  })

  it('watches its own tables; for others it names their owner, and watches them once it may', async () => {
    const owner = await start(['chat.draft'])
    await owner.close()
    login = await createServerLogin(log)
    const { watcherGrants } = await import('../../src/catalog/watch-errors.js')
    await log.query(watcherGrants(login.name))
    await log.database.query(
      `grant usage, create on schema public, chat to ${login.name}; grant select on people to ${login.name}`,
    )
    await (await login.connect()).query('create table mine (id int primary key)')
    const live = await start(['mine', 'people'], { databaseUrl: url() })
    await live.ready('{ mine { rows { id } } }')
    expect(observed.all('tables.unwatchable')).toMatchObject([
      {
        tables: ['people'],
        message: `login ${login.name} lacks TRIGGER on it`,
        hint: `the owner (${log.database.name}) runs: listenql watch --grant-to ${login.name} people`,
      },
    ])
    await log.query(`grant trigger on people to ${login.name}`)
    await live.ready('{ people { rows { id } } }')
  })
})

it('on the embedded Postgres, the server may read the tables that it watches; the demo stays watched', async () => {
  const postgres = await startPrivatePostgres()
  try {
    const admin = new pg.Client(postgres.adminUrl)
    await admin.connect()
    await admin.query('create table notes (id int primary key); insert into notes values (7)')
    await admin.end()
    const server = await createServer({
      dataDir: postgres.directory,
      tables: ['notes'],
      port: 0,
      logLevel: 'silent',
      observe: observed.observe,
    })
    servers.push(server)
    expect(await query(server.url, '{ notes { rows { id } } people { rows { pk } } }')).toMatchObject({
      notes: { rows: [{ id: 7 }] },
    })
    expect(observed.all('tables.undeclared')).toMatchObject([{ tables: ['people', 'visits'] }])
    await servers.pop()?.close()
  } finally {
    await postgres.close()
  }
})

it.each([
  [{ unwatchOthers: true }, 'the option unwatchOthers is given, but the option tables is not'],
  [{ tables: ['!people'] }, 'the option tables only says which tables are left out'],
  [
    { tables: ['a.b.c'] },
    `the option tables must hold names of tables, or patterns for them; the pattern 'a.b.c'`,
  ],
])('%j is refused', async (options, message) => {
  await expect(createServer({ ...options, port: 0, logLevel: 'silent' })).rejects.toMatchObject({
    code: 'BAD_CONFIGURATION',
    message: expect.stringContaining(message),
  })
})
