import { afterEach, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer, type ServerOptions } from '../../../src/index.js'
import { GRAPHQL_TRANSPORTS, overSse, type TestSubscription, TRANSPORTS } from '../../support/clients.js'
import { query } from '../../support/graphql-request.js'
import { createLog, type TestLog } from '../../support/log.js'
import { createObserved, type Observed } from '../../support/observed.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles } from '../../support/viewer-roles.js'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Started extends ListenqlServer {
  readonly observed: Observed
}

async function start(log: TestLog, options: ServerOptions = {}): Promise<Started> {
  const observed = createObserved()
  const server = await createServer({
    databaseUrl: log.database.url,
    port: 0,
    logLevel: 'silent',
    reconnectMax: 100,
    catalogInterval: 50,
    observe: observed.observe,
    ...options,
  })
  cleanUps.push(() => server.close())
  return { ...server, observed }
}

async function createDatabase(encoding?: string): Promise<TestLog> {
  const log = await createLog(encoding === undefined ? {} : { encoding })
  cleanUps.push(() => log.close())
  return log
}

interface Result {
  readonly data?: Record<string, Record<string, unknown> | null> | null
  readonly errors?: readonly { readonly path?: readonly unknown[]; readonly extensions?: { code?: string } }[]
  readonly extensions?: { readonly cursor?: string }
}

/** What a result contains: its data, and each error as `path: code`. */
async function next({ results }: TestSubscription) {
  const { data, errors = [], extensions } = (await results.next()) as Result
  const field = data ? Object.values(data)[0] : null
  return {
    field,
    errors: errors.map(({ path, extensions: more }) => `${path?.slice(1).join('.') ?? ''}: ${more?.code}`),
    cursor: extensions?.cursor as string,
  }
}

const NOTES =
  'subscription ($after: String) { notesChanged(after: $after) { operation key { id } row { id v j } old { v } } }'
const OTHERS = 'subscription { othersChanged { row { id } } }'

/** A database, and SQL in which `BAD` is a text without an equivalent in UTF8. */
const ENCODINGS = [
  ['SQL_ASCII', `E'a\\377b'`],
  ['WIN1252', `'a' || chr(129) || 'b'`],
  ['EUC_JP', `convert_from('\\x61a2af62', 'EUC_JP')`],
] as const

describe.each(ENCODINGS)('a value without an equivalent in UTF8, in a database in %s', (encoding, BAD) => {
  async function prepare() {
    const log = await createDatabase(encoding)
    await log.query(`create table notes (id int primary key, v text not null, j json, n int);
      create table others (id int primary key)`)
    await log.watch('notes', 'others')
    return { log, server: await start(log) }
  }

  it('is lost alone, live and replayed, over every transport', async () => {
    const { log, server } = await prepare()
    const live = await Promise.all(
      Object.values(GRAPHQL_TRANSPORTS).map(subscribe => subscribe(server.url, NOTES)),
    )
    const others = await overSse('POST')(server.url, OTHERS)
    await log.query(`begin; insert into notes values (1, 'good', '[1.0]');
      insert into notes values (2, ${BAD}, '{}'); insert into notes values (3, 'é', '{"a":"é"}');
      update notes set v = 'mended' where id = 2;
      update notes set j = to_json((${BAD})::text) where id = 3; commit`)
    await log.query('insert into others values (1)')
    const expected = [
      [{ operation: 'INSERT', key: { id: 1 }, row: { id: 1, v: 'good', j: [1] }, old: null }, []],
      [
        { operation: 'INSERT', key: { id: 2 }, row: { id: 2, v: null, j: {} }, old: null },
        ['row.v: VALUE_NOT_SHOWN'],
      ],
      [{ operation: 'INSERT', key: { id: 3 }, row: { id: 3, v: 'é', j: { a: 'é' } }, old: null }, []],
      [
        { operation: 'UPDATE', key: { id: 2 }, row: { id: 2, v: 'mended', j: {} }, old: { v: null } },
        ['old.v: VALUE_NOT_SHOWN'],
      ],
      [
        { operation: 'UPDATE', key: { id: 3 }, row: { id: 3, v: 'é', j: null }, old: { v: 'é' } },
        ['row.j: VALUE_NOT_SHOWN'],
      ],
    ] as const
    const cursors: string[] = []
    for (const subscription of live) {
      for (const [field, errors] of expected) {
        const found = await next(subscription)
        expect([found.field, found.errors]).toEqual([field, errors])
        cursors.push(found.cursor)
      }
    }
    expect((await next(others)).field).toEqual({ row: { id: 1 } })
    const again = await overSse('POST')(server.url, NOTES, { after: cursors[0] })
    for (const [field, errors] of expected.slice(1)) {
      const found = await next(again)
      expect([found.field, found.errors]).toEqual([field, errors])
    }
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
    await server.observed.until('event.unreadable', { topic: 'table notes' })
    for (const subscription of [...live, others, again]) await subscription.close()
  })

  it('is lost alone in a snapshot', async () => {
    const { log, server } = await prepare()
    await log.query(`insert into notes values (1, 'é', null), (2, ${BAD}, '{"a": 1.50}')`)
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ notes(orderBy: [{id: ASC}]) { rows { id v j } } }' }),
    })
    const { data, errors } = (await response.json()) as Result
    expect(data?.notes?.rows).toEqual([
      { id: 1, v: 'é', j: null },
      { id: 2, v: null, j: { a: 1.5 } },
    ])
    expect(errors).toMatchObject([
      { path: ['notes', 'rows', 1, 'v'], extensions: { code: 'VALUE_NOT_SHOWN' } },
    ])
  })

  it('is lost alone as a payload, published and, in SQL_ASCII, notified', async () => {
    const { log, server } = await prepare()
    const CHANNEL =
      'subscription ($after: String) { channel(name: "news", after: $after) { payload json gap } }'
    const subscription = await overSse('POST')(server.url, CHANNEL)
    const raw = await TRANSPORTS['/listen'](server.url, 'news')
    await log.query(`select listenql.publish('news', '1'), listenql.publish('news', (${BAD})::text),
      listenql.publish('news', '2')`)
    expect((await next(subscription)).field).toEqual({ payload: '1', json: 1, gap: false })
    const bad = await next(subscription)
    expect(bad.field).toEqual({ payload: null, json: null, gap: false })
    expect(bad.errors).toEqual(['payload: VALUE_NOT_SHOWN', 'json: VALUE_NOT_SHOWN'])
    expect((await next(subscription)).field).toEqual({ payload: '2', json: 2, gap: false })
    expect(await raw.ended).toBe('1012') // the only word for it
    if (encoding === 'SQL_ASCII') {
      await log.query(`select pg_notify('news', ${BAD}), pg_notify('news', 'é')`)
      expect((await next(subscription)).errors).toEqual(['payload: VALUE_NOT_SHOWN', 'json: VALUE_NOT_SHOWN'])
      expect((await next(subscription)).field).toEqual({ payload: 'é', json: null, gap: false })
      expect(server.observed.all('database.lost')).toEqual([])
    }
    await subscription.close()
  })

  it('in the name of a channel does not block other events', async () => {
    const { log, server } = await prepare()
    const others = await overSse('POST')(server.url, OTHERS)
    await log.query(`select listenql.publish((${BAD})::text, 'x')`)
    await log.query('insert into others values (1)')
    expect((await next(others)).field).toEqual({ row: { id: 1 } })
    await others.close()
  })

  it('in a key is an error in the key', async () => {
    const log = await createDatabase(encoding)
    await log.query('create table named (name text primary key, n int)')
    await log.watch('named')
    const server = await start(log)
    const subscription = await overSse('POST')(
      server.url,
      'subscription { namedChanged { operation key { name } row { name n } } }',
    )
    await log.query(`insert into named values (${BAD}, 1); update named set n = 2`)
    const none = { key: { name: null } }
    expect(await next(subscription)).toMatchObject({
      field: { operation: 'INSERT', ...none, row: { name: null, n: 1 } },
      errors: ['key.name: VALUE_NOT_SHOWN', 'row.name: VALUE_NOT_SHOWN'],
    })
    expect((await next(subscription)).field).toMatchObject({
      operation: 'UPDATE',
      ...none,
      row: { name: null, n: 2 },
    })
    await subscription.close()
  })

  it('is equal to nothing; a change for which a filter cannot be decided is an error, and the stream continues', async () => {
    const { log, server } = await prepare()
    const follow = (where: string) =>
      overSse('POST')(server.url, `subscription { notesChanged(where: ${where}) { row { id } } }`)
    const equal = await follow('{v: {eq: "x"}}')
    const among = await follow('{or: [{v: {in: ["x"]}}, {id: {eq: 9}}]}')
    const unlike = await follow('{v: {neq: "x"}}')
    const present = await follow('{v: {isNull: false}}')
    const greater = await follow('{v: {gt: "x"}}')
    const like = await follow('{v: {like: "%b"}}')
    await log.query(
      `insert into notes values (1, ${BAD}); insert into notes values (2, 'x'); insert into notes values (9, 'yb')`,
    )
    const rows = async (subscription: TestSubscription, count: number) => {
      const all: unknown[] = []
      while (all.length < count) {
        const { field, errors } = await next(subscription)
        all.push(field ? (field as { row: { id: number } }).row.id : errors[0])
      }
      return all
    }
    expect(await rows(equal, 1)).toEqual([2])
    expect(await rows(among, 2)).toEqual([2, 9])
    expect(await rows(unlike, 2)).toEqual([1, 9])
    expect(await rows(present, 3)).toEqual([1, 2, 9])
    expect(await rows(greater, 2)).toEqual([': VALUE_NOT_SHOWN', 9])
    expect(await rows(like, 2)).toEqual([': VALUE_NOT_SHOWN', 9])
    for (const subscription of [equal, among, unlike, present, greater, like]) await subscription.close()
  })
})

describe('viewers under row-level security', () => {
  it('get an error for a value that is not text; a table whose name is not text affects no other table', async () => {
    const log = await createDatabase('SQL_ASCII')
    const roles = await createRoles(log)
    cleanUps.push(() => roles.drop())
    await log.query(`create table notes (id int primary key, v text, owner text);
      create table others (id int primary key);
      alter table notes enable row level security; grant select on notes, others to ${roles.user};
      create policy own on notes to ${roles.user} using (owner = 'ann')`)
    await log.query(`do $$ declare name text := quote_ident('t' || convert_from('\\xff', 'SQL_ASCII')); begin
      execute 'create table ' || name || ' (id int primary key)';
      execute 'alter table ' || name || ' enable row level security';
      execute 'grant select on ' || name || ' to ${roles.user}'; end $$;
      select listenql.watch(oid::regclass) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace;
      select count(*) from listenql.refresh()`)
    const server = await start(log, { jwtSecret: SECRET })
    const token = await sign({ role: roles.user, sub: 'ann', exp: inSeconds(600) })
    const others = await overSse('POST')(server.url, OTHERS, {}, { token })
    await log.query('insert into others values (1)')
    expect((await next(others)).field).toEqual({ row: { id: 1 } })
    const CHANGES = 'subscription { notesChanged { row { id v owner } } }'
    const notes = await overSse('POST')(server.url, CHANGES, {}, { token })
    await log.query(`insert into notes values (1, E'a\\377b', 'bob'); insert into notes values (2, E'a\\377b', 'ann');
      insert into notes values (3, 'é', 'ann')`)
    expect(await next(notes)).toMatchObject({
      field: { row: { id: 2, v: null, owner: 'ann' } },
      errors: ['row.v: VALUE_NOT_SHOWN'],
    })
    expect((await next(notes)).field).toEqual({ row: { id: 3, v: 'é', owner: 'ann' } })
    for (const subscription of [others, notes]) await subscription.close()
  })
})

describe('a name that is not text, in a database in SQL_ASCII', () => {
  it('causes its column, or its table, to be left out', async () => {
    const log = await createDatabase('SQL_ASCII')
    const ascii = await log.connect()
    await ascii.query(`set client_encoding = 'SQL_ASCII'; set standard_conforming_strings = on`)
    // A JavaScript string cannot contain the invalid bytes of the statement, so EXECUTE produces them.
    await ascii.query(`do $$ declare bad text := convert_from('\\xff', 'SQL_ASCII'); begin
      execute 'create table notes (id int primary key, "' || bad || '" text, v text)';
      execute 'create table "t' || bad || '" (id int primary key)';
      execute format('comment on table notes is %L', bad);
      execute 'create table others (id int primary key)'; end $$`)
    await ascii.query(
      `select listenql.watch(oid::regclass) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
    )
    await ascii.query('select count(*) from listenql.refresh()')
    const server = await start(log)
    const { watchedTables } = await query(server.url, '{ watchedTables { name columns { name } } }')
    expect(watchedTables).toEqual([
      { name: 'notes', columns: [{ name: 'id' }, { name: 'v' }] },
      { name: 'others', columns: [{ name: 'id' }] },
    ])
    await server.observed.until('catalog.unreadable', { what: 'table' })
    await server.observed.until('catalog.unreadable', { what: 'column' })
    const subscription = await overSse('POST')(server.url, 'subscription { notesChanged { row { id v } } }')
    await ascii.query(`do $$ begin execute 'insert into "t' || convert_from('\\xff', 'SQL_ASCII') || '" values (1)'; end $$;
      insert into notes values (1, 'x', 'y')`)
    expect((await next(subscription)).field).toEqual({ row: { id: 1, v: 'y' } })
    await subscription.close()
  })
})

describe('linked rows in a database in SQL_ASCII', () => {
  it('lose only the values that are not text', async () => {
    const log = await createDatabase('SQL_ASCII')
    const ascii = await log.connect()
    await ascii.query(`set client_encoding = 'SQL_ASCII'; set standard_conforming_strings = on`)
    await ascii.query(`create table boxes (id int primary key, name text);
      create table things (id int primary key, box_id int references boxes, name text, note text);
      select listenql.watch('boxes'), listenql.watch('things'); insert into boxes values (1, E'b\\377'), (2, 'fine'), (3, 'é')`)
    await ascii.query('select count(*) from listenql.refresh()')
    await ascii.query(
      `insert into things values (10, 1, 'a', E'x\\377y'), (11, 1, E'\\377]', '{"['), (12, 3, 'ü', null)`,
    )
    const server = await start(log)
    const text =
      '{ boxes { rows { id name things { id name note box { name } } thingsAggregate { count max { note } } } } }'
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: text }),
    })
    const { data, errors } = (await response.json()) as {
      data: { boxes: unknown }
      errors: { message: string; path: unknown[]; extensions: { code: string } }[]
    }
    expect(data.boxes).toEqual({
      rows: [
        {
          id: 1,
          name: null,
          things: [
            { id: 10, name: 'a', note: null, box: { name: null } },
            { id: 11, name: null, note: '{"[', box: { name: null } },
          ],
          thingsAggregate: { count: '2', max: { note: '{"[' } },
        },
        { id: 2, name: 'fine', things: [], thingsAggregate: { count: '0', max: { note: null } } },
        {
          id: 3,
          name: 'é',
          things: [{ id: 12, name: 'ü', note: null, box: { name: 'é' } }],
          thingsAggregate: { count: '1', max: { note: null } },
        },
      ],
    })
    expect(new Set(errors.map(({ extensions }) => extensions.code))).toEqual(new Set(['VALUE_NOT_SHOWN']))
    expect(errors.filter(({ message }) => /column (?!name|note)/.test(message))).toEqual([])
    expect(errors.map(({ path }) => path.join('.')).sort()).toEqual([
      'boxes.rows.0.name',
      'boxes.rows.0.things.0.box.name',
      'boxes.rows.0.things.0.note',
      'boxes.rows.0.things.1.box.name',
      'boxes.rows.0.things.1.name',
    ])
  })
})
