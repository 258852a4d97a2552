import { getIntrospectionQuery } from 'graphql'
import type { Introspection } from '../../src/client/cache/tables-of.js'
import type { ServerOptions } from '../../src/index.js'
import { createRandom, type Random } from '../stress/random.js'
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.js'
import { query } from './graphql-request.js'
import { createLive, type Live } from './live.js'
import { createLog, type TestLog } from './log.js'

/** A server with linked tables, behind a proxy that a test can cut, for clients with a normalised cache. */
export interface CachedWorld {
  readonly log: TestLog
  readonly live: Live
  readonly proxy: CuttingProxy
  readonly introspection: Introspection
  close(): Promise<void>
}

/** What an application needs to know of its server. */
export interface CachedServer {
  readonly introspection: Introspection
  readonly proxy: { readonly url: string }
}

/** The key of `people` is `pk`, that of `seats` has two columns, that of `visits` is `id`; `notes` has none. */
export async function createCachedWorld(options: ServerOptions = {}): Promise<CachedWorld> {
  const log = await createLog()
  await log.query(`
    create table people (pk serial primary key, name text not null, age int, boss int references people on delete set null on update cascade);
    create table visits (id serial primary key, person_id int references people on delete cascade on update cascade, place text, stars numeric);
    create table badges (code text primary key, person_id int unique references people on delete cascade on update cascade);
    create table seats (hall text, number int, taken text, primary key (hall, number));
    create table notes (text text)`)
  await log.watch('people', 'visits', 'badges', 'seats', 'notes')
  await log.query(`
    insert into people (name, age) select 'person ' || n, n from generate_series(1, 8) n;
    insert into visits (person_id, place, stars) select 1 + n % 8, 'place ' || n % 3, n from generate_series(1, 16) n;
    insert into seats select 'hall ' || n % 2, n from generate_series(1, 6) n;
    insert into notes values ('one')`)
  const live = await createLive(log, options)
  await live.ready(
    '{ people { cursor } visits { cursor } badges { cursor } seats { cursor } notes { cursor } }',
  )
  const proxy = await startCuttingProxy(live.server.url)
  const introspection = (await query(live.server.url, getIntrospectionQuery())) as unknown as Introspection
  return {
    log,
    live,
    proxy,
    introspection,
    async close() {
      await proxy.close()
      await live.close()
      await log.close()
    },
  }
}

/** A query that a screen shows. */
export interface ShownQuery {
  readonly query: string
  readonly variables?: Record<string, unknown>
}

/** One query for each way in which rows can depend on a change. */
export const SHOWN: readonly ShownQuery[] = [
  { query: 'query All { people(limit: 1000) { rows { pk name age } } }' },
  {
    query:
      'query Top($from: Int) { people(where: { age: { gte: $from } }, orderBy: [{ name: ASC }], limit: 4) { rows { pk name } } }',
    variables: { from: 3 },
  },
  {
    query:
      'query Page($where: PeopleFilter, $order: [PeopleOrderBy!]) { people(where: $where, orderBy: $order, limit: 3, offset: 1) { cursor rows { ...P } } } fragment P on People { pk age }',
    variables: { where: { or: [{ age: { lt: 6 } }, { name: { like: '%1%' } }] }, order: [{ age: 'DESC' }] },
  },
  { query: 'query One { people(where: { pk: { eq: 2 } }) { rows { pk name age badges { code } } } }' },
  {
    query:
      'query Nested { people(orderBy: [{ pk: DESC }], limit: 5) { rows { pk visits(orderBy: [{ id: DESC }], limit: 2) { id place } visitsAggregate { count max { id } } } } }',
  },
  { query: 'query Links { visits(limit: 1000) { rows { id stars person { pk name } } } }' },
  { query: 'query Badges { badges { rows { code person { pk name } } } }' },
  {
    query: `query Visitors { people(where: { visits: { some: { place: { eq: "place 1" } } } }) { rows { pk name } } }`,
  },
  {
    query:
      'query Sums { visitsAggregate { count sum { stars } max { id } } peopleAggregate { max { age } } }',
  },
  { query: 'query Seats { seats(orderBy: [{ taken: ASC }]) { rows { hall number taken } } }' },
  { query: 'query Notes { notes { rows { text } } }' },
]

/** Returns the statements of random transactions. */
export function* randomWrites(seed: number, count: number): Generator<string> {
  const random = createRandom(seed, 'writes')
  for (let i = 0; i < count; i++) {
    const statements = Array.from({ length: random.int(1, 3) }, () => randomWrite(random))
    yield statements.join('; ')
  }
}

function randomWrite(random: Random): string {
  const person = `(select pk from people order by md5(pk::text || '${random.int(0, 9)}') limit 1)`
  const choices = [
    () => `insert into people (name, age) values ('new ${random.int(0, 99)}', ${random.int(0, 9)})`,
    () => `update people set name = 'renamed ${random.int(0, 99)}' where pk = ${person}`,
    () => `update people set age = ${random.int(0, 9)} where pk = ${person}`,
    () => `update people set age = age + 1 where age < ${random.int(0, 9)}`,
    () => `update people set boss = ${person} where pk = ${person}`,
    () => `delete from people where pk = ${person} and pk > 4`,
    () =>
      `update people set pk = pk + 1000 where pk = (select max(pk) from people where pk < 1000) and pk > 8`,
    () =>
      `insert into visits (person_id, place, stars) values (${person}, 'place ${random.int(0, 3)}', ${random.int(0, 50)} / 10.0)`,
    () => `update visits set person_id = ${person} where id = (select max(id) from visits)`,
    () => `update visits set place = 'place ${random.int(0, 3)}' where id % 5 = ${random.int(0, 4)}`,
    () => `update visits set stars = stars + 0.5 where id % 7 = ${random.int(0, 6)}`,
    () => `delete from visits where id % 6 = ${random.int(0, 5)}`,
    () => `insert into badges values ('badge ${random.int(0, 5)}', ${person}) on conflict do nothing`,
    () => `delete from badges where code = 'badge ${random.int(0, 5)}'`,
    () => `update seats set taken = 'guest ${random.int(0, 9)}' where number = ${random.int(1, 6)}`,
    () =>
      `update seats set number = number + 10 where number = ${random.int(1, 16)} and not exists (select from seats where number > 10)`,
    () =>
      `insert into seats values ('hall 3', ${random.int(1, 9)}) on conflict (hall, number) do update set taken = 'again'`,
    () => `insert into notes values ('note ${random.int(0, 9)}')`,
    () => `update notes set text = text || '!' where length(text) < 9`,
    () => (random.chance(0.1) ? 'truncate visits' : 'delete from notes where length(text) > 8'),
    () => (random.chance(0.1) ? 'truncate seats' : 'select 1'),
  ]
  return random.pick(choices)()
}
