import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Observation } from '../../../src/index.js'
import { runCli } from '../../support/cli.js'
import { query } from '../../support/graphql-request.js'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { waitUntil } from '../../support/wait.js'

let log: TestLog
let live: Live
const observed: Observation[] = []
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

beforeEach(async () => {
  observed.length = 0
  await log.query(`create table people (pk int primary key, name text, nick text);
    create table visits (pk int primary key, person_id int references people, place text);
    insert into people values (1, 'Ada', 'A'); insert into visits values (10, 1, 'Park')`)
  await log.watch('people', 'visits')
  live = await createLive(log, { observe: observation => observed.push(observation) })
  await live.ready('{ people { cursor } visits { cursor } }')
})
afterEach(async () => {
  await live.close()
  await log.query('select listenql.unwatch(relid) from listenql.watched; drop table visits, people')
})

const ignored = () =>
  observed.flatMap(observation => (observation.type === 'schema.ignored' ? [observation.message] : []))

describe('a comment that gives names, while the server runs', () => {
  beforeEach(async () => {
    await log.query(`comment on table people is E'@name person\\nEverybody we know.';
      comment on column people.pk is '@name id'; comment on column people.name is '@name fullName';
      comment on column visits.person_id is '@name guestId'`)
    await live.ready('{ person { rows { id fullName } } visits { rows { guestId } } }')
  })

  it('names the table in queries, with filters, order, relations and aggregates', async () => {
    await log.query(`insert into people values (2, 'Bob', 'B')`)
    const data = await query(
      live.server.url,
      `{ person(where: {fullName: {like: "%a%"}, visits: {some: {guest: {id: {eq: 1}}}}}, orderBy: [{fullName: DESC}, {id: ASC}]) {
        rows { id fullName nick visits { guestId guest { fullName } } } }
        personAggregate { max { id fullName } groups(groupBy: [id]) { key { id } } }
        watchedTables { name queryField subscriptionField rowType comment key columns { name field } } }`,
    )
    expect(data).toMatchObject({
      person: {
        rows: [{ id: 1, fullName: 'Ada', nick: 'A', visits: [{ guestId: 1, guest: { fullName: 'Ada' } }] }],
      },
      personAggregate: { max: { id: 2, fullName: 'Bob' }, groups: [{ key: { id: 1 } }, { key: { id: 2 } }] },
      watchedTables: [
        {
          name: 'people',
          queryField: 'person',
          subscriptionField: 'personChanged',
          rowType: 'Person',
          comment: 'Everybody we know.',
          key: ['id'],
          columns: [
            { name: 'pk', field: 'id' },
            { name: 'name', field: 'fullName' },
            { name: 'nick', field: 'nick' },
          ],
        },
        { name: 'visits', queryField: 'visits' },
      ],
    })
    expect(ignored()).toEqual([])
  })

  it('names the table in changes, snapshots meet them, and errors show the new name', async () => {
    const document =
      'subscription { personChanged(where: {id: {gt: 0}}, initial: true) { operation key { id } row { id fullName } } }'
    const stream = await live.subscribe(document)
    expect(await nextChange(stream)).toMatchObject({ operation: 'READ', row: { id: 1, fullName: 'Ada' } })
    expect(await nextChange(stream)).toMatchObject({ operation: 'READY' })
    await log.query(`update people set name = 'Eve' where pk = 1`)
    expect(await nextChange(stream)).toEqual({
      operation: 'UPDATE',
      key: { id: 1 },
      row: { id: 1, fullName: 'Eve' },
    })
    await stream.close()
    await expect(
      query(live.server.url, '{ person(where: {fullName: {eq: null}}) { cursor } }'),
    ).rejects.toThrow('where.fullName.eq')
  })

  it('is followed by listenql watch and listenql schema', async () => {
    const env = { DATABASE_URL: log.database.url }
    expect((await runCli(['watch', 'people'], { env })).stdout).toContain(
      'subscription personChanged, query person',
    )
    const { stdout, stderr } = await runCli(['schema'], { env })
    expect(stdout).toContain('type Person {\n')
    expect(stderr).toBe('')
  })
})

describe('live streams, when a comment changes names', () => {
  const NAME = 'subscription { peopleChanged { row { name } } }'

  it('continue if the operation still fits, without a hole', async () => {
    const stream = await live.subscribe(NAME)
    await log.query(`insert into people values (2, 'before', null)`)
    await log.query(`comment on column people.nick is '@name alias'; comment on table visits is '@name stay'`)
    await log.query(`insert into people values (3, 'between', null)`)
    await live.ready('{ people { rows { alias } } stay { cursor } }')
    await log.query(`insert into people values (4, 'after', null)`)
    for (const name of ['before', 'between', 'after']) {
      expect(await nextChange(stream)).toEqual({ row: { name } })
    }
    await stream.close()
  })

  it('continue if only the description changes', async () => {
    await log.query(`comment on table people is E'@name people\\nA'`)
    await live.ready('{ people { cursor } }')
    const stream = await live.subscribe(NAME)
    await log.query(`comment on table people is E'@name people\\nB'`)
    await waitUntil(async () => {
      const data = (await query(live.server.url, '{ watchedTables { comment } }')) as {
        watchedTables: { comment: string | null }[]
      }
      return data.watchedTables[0]?.comment === 'B'
    }, 'the description to change')
    await log.query(`insert into people values (2, 'after', null)`)
    expect(await nextChange(stream)).toEqual({ row: { name: 'after' } })
    await stream.close()
  })

  it.each([
    ['a table', `comment on table people is '@name person'`],
    ['a column', `comment on column people.name is '@name fullName'`],
  ])('end with SCHEMA_CHANGED if the operation uses the former name of %s', async (_what, sql) => {
    const stream = await live.subscribe(NAME)
    await log.query(sql)
    expect(await endOf(stream)).toBe('SCHEMA_CHANGED')
  })

  const SWAPS = [
    ['columns swap their names', `comment on column people.name is '@name nick'; comment on column people.nick is '@name name'`, '{ people { rows { name nick } } }'],
    ['a table gets the name of another one', `comment on table people is '@name other'; comment on table visits is '@name people'`, '{ people { rows { place } } }'],
  ] as const // biome-ignore format: a table

  it.each(SWAPS)(
    'end with CURSOR_EXPIRED if their fields are now of something else: %s',
    async (_, sql, fits) => {
      const pk = await live.subscribe('subscription { peopleChanged { row { pk } } }')
      const filtered = await live.subscribe(
        'subscription { peopleChanged(where: {pk: {gt: 0}, name: {neq: "x"}, nick: {neq: "y"}}) { cursor } }',
      )
      const stream = await live.subscribe(NAME)
      await log.query(sql)
      await live.ready(fits)
      if (sql.includes('on table')) {
        expect(await endOf(pk)).toBe('CURSOR_EXPIRED') // visits has a column pk, too
        expect(await endOf(stream)).toBe('SCHEMA_CHANGED')
        expect(await endOf(filtered)).toBe('SCHEMA_CHANGED')
      } else {
        expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
        expect(await endOf(filtered)).toBe('CURSOR_EXPIRED')
        await log.query(`insert into people values (2, 'n', 'k')`)
        expect(await nextChange(pk)).toEqual({ row: { pk: 2 } })
        await pk.close()
      }
    },
  )

  it('end with CURSOR_EXPIRED, too, if a rule gives the name of a dropped column to another one', async () => {
    await log.query(`alter table people add "userId" int default 1, add user_id int default 2`)
    await live.ready('{ people { rows { userId userId_2 } } }')
    const stream = await live.subscribe('subscription { peopleChanged { row { userId } } }')
    await log.query('alter table people drop "userId"')
    expect(await endOf(stream)).toBe('CURSOR_EXPIRED')
  })

  it('begin again with RESET if they began with the rows', async () => {
    const stream = await live.subscribe(
      'subscription { peopleChanged(initial: true) { operation row { name } } }',
    )
    expect(await nextChange(stream)).toEqual({ operation: 'READ', row: { name: 'Ada' } })
    expect(await nextChange(stream)).toMatchObject({ operation: 'READY' })
    await log.query(
      `comment on column people.name is '@name nick'; comment on column people.nick is '@name name'`,
    )
    expect(await nextChange(stream)).toEqual({ operation: 'RESET', row: null })
    expect(await nextChange(stream)).toEqual({ operation: 'READ', row: { name: 'A' } })
    expect(await nextChange(stream)).toMatchObject({ operation: 'READY' })
    await log.query(`insert into people values (2, 'n', 'k')`)
    expect(await nextChange(stream)).toEqual({ operation: 'INSERT', row: { name: 'k' } })
    await stream.close()
  })

  it('of live queries show the result under the new names', async () => {
    const stream = await live.subscribe('subscription { people { rows { name nick } } }')
    expect(await nextChange(stream)).toEqual({ rows: [{ name: 'Ada', nick: 'A' }] })
    await log.query(
      `comment on column people.name is '@name nick'; comment on column people.nick is '@name name'`,
    )
    expect(await nextChange(stream)).toEqual({ rows: [{ name: 'A', nick: 'Ada' }] })
    await log.query(`update people set nick = 'Z'`)
    expect(await nextChange(stream)).toEqual({ rows: [{ name: 'Z', nick: 'Ada' }] })
    await stream.close()
  })

  it('survive a column that is renamed in Postgres and keeps its name by a comment', async () => {
    const stream = await live.subscribe(NAME)
    await log.query(
      `begin; alter table people rename name to full_name; comment on column people.full_name is '@name name'; commit`,
    )
    await log.query(`insert into people (pk, full_name) values (2, 'after')`)
    expect(await nextChange(stream)).toEqual({ row: { name: 'after' } })
    await stream.close()
  })
})

it('a name that cannot be used is reported once by the server, and by status', async () => {
  await log.query(
    `comment on table visits is '@name people'; comment on column people.nick is '@name nick name'`,
  )
  const expected = [
    '@name of column "nick" is ignored, and the column is nick in GraphQL: "nick name" is not a name in GraphQL: use up to 63 letters (A to Z), digits and underscores, no digit first (table "public.people")',
    '@name of table "public.visits" is ignored, and the table is visits in GraphQL: another has the name people: choose a different one',
  ]
  await waitUntil(async () => ignored().length === 2, 'the warnings')
  await log.query(`comment on column people.name is 'something else'`)
  await waitUntil(async () => {
    const built = observed.filter(({ type }) => type === 'schema.built')
    return built.length >= 3
  }, 'the schema to be built again')
  expect(ignored().sort()).toEqual(expected)
  const { stdout } = await runCli(['status', '--json'], { env: { DATABASE_URL: log.database.url } })
  const { warnings } = JSON.parse(stdout) as { warnings: string[] }
  expect(warnings.filter(line => line.startsWith('@name')).sort()).toEqual(expected)
})
