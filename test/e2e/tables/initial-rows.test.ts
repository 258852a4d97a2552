import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GRAPHQL_TRANSPORTS, overGraphqlWs, overSse, type TestSubscription } from '../../support/clients.js'
import { CopiedRows } from '../../support/copied-rows.js'
import { codeOf } from '../../support/graphql-request.js'
import { createLive, endOf, type Live, nextChange } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

let log: TestLog
let roles: TestRoles
let live: Live
beforeAll(async () => {
  log = await createLog()
  roles = await createRoles(log)
  await log.query(`create table people (id int primary key, name text, team text, secret text);
    create table words (word text);
    create table teams (id int primary key, name text);
    grant select (id, name, team) on people to ${roles.user}`)
  await log.watch('people', 'words', 'teams')
  live = await createLive(log, { maxRows: 50 })
  await live.ready('{ people { cursor } words { cursor } teams { cursor } }')
})
afterAll(async () => {
  await live.close()
  await roles.drop()
  await log.close()
})
beforeEach(async () => {
  await log.query(
    `delete from people; insert into people select i, 'n' || i, 'red' from generate_series(1, 3) i`,
  )
})

const FIELDS = 'operation cursor key { id } row { id name team }'
const PEOPLE = `subscription ($after: String, $where: PeopleFilter, $operations: [Operation!]) {
  peopleChanged(initial: true, after: $after, where: $where, operations: $operations) { ${FIELDS} } }`

const table = async (where = 'true') =>
  (await log.query(`select id, name, team from people where ${where}`)) as unknown as { id: number }[]

describe.each(Object.entries(GRAPHQL_TRANSPORTS))('%s', (_name, subscribe) => {
  it('delivers the rows, READY, then each later change once; a position gets no rows again', async () => {
    const stream = await subscribe(live.server.url, PEOPLE)
    const copy = new CopiedRows()
    await copy.takeUpTo('READY', stream)
    expect(copy.operations).toEqual(['READ', 'READ', 'READ', 'READY'])
    expect([...copy.rows.keys()]).toEqual([1, 2, 3])
    const ready = copy.cursor
    await log.query(`update people set name = 'x' where id = 2; delete from people where id = 1`)
    await copy.takeNext(stream)
    await copy.takeNext(stream)
    await stream.close()
    await log.query(`insert into people values (9, 'nine', 'red')`)
    for (const [after, operations] of [
      [ready, ['UPDATE', 'DELETE', 'INSERT']],
      [copy.cursor, ['INSERT']],
    ] as const) {
      const resumed = await subscribe(live.server.url, PEOPLE, {}, { after: after as string })
      const rest = new CopiedRows()
      for (const operation of operations) expect(await rest.takeNext(resumed)).toMatchObject({ operation })
      await resumed.close()
    }
  })

  it('begins again with RESET for a client that was cut off before READY, and for positions of another database', async () => {
    const stream = await subscribe(live.server.url, PEOPLE)
    const first = await nextChange(stream)
    await stream.close()
    for (const after of [first.cursor as string, 'AQEB', 'no cursor']) {
      const again = await subscribe(live.server.url, PEOPLE, {}, { after })
      const copy = new CopiedRows()
      await copy.takeUpTo('READY', again)
      expect(copy.operations).toEqual(['RESET', 'READ', 'READ', 'READ', 'READY'])
      await log.query(`update people set name = name || '!' where id = 1`)
      await copy.takeNext(again)
      expect(copy.text).toBe(JSON.stringify((await table()).toSorted((a, b) => a.id - b.id)))
      await again.close()
    }
  })

  it('begins again with RESET while it is live when the history of the table begins anew', async () => {
    const stream = await subscribe(live.server.url, PEOPLE)
    const copy = new CopiedRows()
    await copy.takeUpTo('READY', stream)
    await log.query('alter table people alter name type text using upper(name)')
    await copy.takeUpTo('READY', stream)
    expect(copy.operations.slice(4)).toEqual(['RESET', 'READ', 'READ', 'READ', 'READY'])
    expect(copy.rows.get(1)).toEqual({ id: 1, name: 'N1', team: 'red' })
    await log.query(`insert into people values (4, 'four', 'red')`)
    expect(await copy.takeNext(stream)).toMatchObject({ operation: 'INSERT' })
    const { cursor } = copy
    await stream.close()
    const resumed = await subscribe(live.server.url, PEOPLE, {}, { after: cursor as string })
    await log.query(`insert into people values (5, 'five', 'red')`)
    expect(await nextChange(resumed)).toMatchObject({ operation: 'INSERT', key: { id: 5 } })
    await resumed.close()
  })
})

it('resumes an EventSource by the id of each event, also of rows', async () => {
  const stream = await overSse('GET')(live.server.url, PEOPLE)
  const { cursor } = await nextChange(stream)
  await stream.close()
  const again = await overSse('GET')(live.server.url, PEOPLE, {}, { lastEventId: cursor as string })
  expect(await nextChange(again)).toMatchObject({ operation: 'RESET', row: null, key: null })
  await again.close()
})

it('`where` selects rows and changes, `operations` only changes', async () => {
  await log.query(`insert into people values (7, 'blue one', 'blue')`)
  const stream = await live.subscribe(PEOPLE, {
    variables: { where: { team: { eq: 'blue' } }, operations: ['DELETE'] },
  })
  expect(await nextChange(stream)).toMatchObject({ operation: 'READ', row: { name: 'blue one' } })
  expect(await nextChange(stream)).toMatchObject({ operation: 'READY' })
  await log.query(`insert into people values (8, 'b', 'blue'); delete from people where team = 'red';
    delete from people where id = 8`)
  expect(await nextChange(stream)).toMatchObject({ operation: 'DELETE', key: { id: 8 } })
  await stream.close()
})

it('`operations` does not accept the operations of the stream', async () => {
  const stream = await live.subscribe(
    'subscription { peopleChanged(initial: true, operations: [READ]) { operation } }',
  )
  const result = await stream.results.next('a refusal')
  expect(JSON.stringify(result)).toContain('\\"READ\\" does not exist in \\"Operation\\" enum')
  await stream.close()
})

it('more rows than --max-rows are refused with the option', async () => {
  await log.query(`insert into people select i, 'n', 'red' from generate_series(10, 60) i`)
  const stream = await live.subscribe(PEOPLE)
  const result = await stream.results.next('a refusal')
  expect(result).toMatchObject({
    errors: [{ extensions: { code: 'LIMIT_EXCEEDED', limit: 'maxRows', max: 50 } }],
  })
  await stream.close()
})

it('reads the rows of a table without a primary key', async () => {
  await log.query(`insert into words values ('a'), ('a')`)
  const stream = await live.subscribe(
    'subscription { wordsChanged(initial: true) { operation row { word } old { word } } }',
  )
  const all = [await nextChange(stream), await nextChange(stream), await nextChange(stream)]
  expect(all.map(({ operation, row }) => [operation, row])).toEqual([
    ['READ', { word: 'a' }],
    ['READ', { word: 'a' }],
    ['READY', null],
  ])
  await stream.close()
})

it('subscribers that begin at the same time all get all rows, then the changes', async () => {
  const streams = await Promise.all(Array.from({ length: 20 }, () => live.subscribe(PEOPLE)))
  const copies = streams.map(() => new CopiedRows())
  await Promise.all(copies.map((copy, i) => copy.takeUpTo('READY', streams[i] as never)))
  await log.query(`update people set name = 'all' where id = 1`)
  for (const [i, copy] of copies.entries()) {
    await copy.takeNext(streams[i] as never)
    expect(copy.rows.get(1)).toMatchObject({ name: 'all' })
    await streams[i]?.close()
  }
})

it('the rows and changes of subscribers that begin while other sessions write and alter the table add up to the table', async () => {
  const writing = { on: true }
  const writers = [1, 2].map(async writer => {
    for (let i = 0; writing.on; i++) {
      const id = (i * 7 + writer) % 40
      await log.query(
        i % 5 === 0
          ? `delete from people where id = ${id}`
          : `insert into people values (${id}, '${i}', 'red') on conflict (id) do update set name = excluded.name`,
      )
    }
  })
  const started: TestSubscription[] = []
  while (started.length < 12) started.push(await live.subscribe(PEOPLE))
  await log.query(`alter table people alter name type text using name || '.'`)
  writing.on = false
  await Promise.all(writers)
  for (const stream of started) {
    await new CopiedRows().becomes(stream, () => table())
    await stream.close()
  }
})

it('a lost history begins again with RESET', async () => {
  const TEAMS = 'subscription { teamsChanged(initial: true) { operation cursor key { id } row { id name } } }'
  await log.query(`delete from teams; insert into teams values (1, 'one')`)
  const stream = await live.subscribe(TEAMS)
  const copy = new CopiedRows()
  await copy.takeUpTo('READY', stream)
  const { n } = await log.newest()
  await log.query(`insert into teams values (2, 'two')`)
  const lost = (await copy.takeNext(stream)).cursor
  // What a failover to a standby that had not received everything does.
  await log.query(
    `with lost as (delete from listenql.batch where n > $1 returning xids)
     delete from listenql.event where xid in (select unnest(xids) from lost)`,
    [n],
  )
  await log.query('delete from listenql.event; delete from teams where id = 2')
  await copy.takeUpTo('READY', stream)
  expect(copy.operations).toEqual(['READ', 'READY', 'INSERT', 'RESET', 'READ', 'READY'])
  expect([...copy.rows.keys()]).toEqual([1])
  await stream.close()
  const resumed = await live.subscribe(TEAMS, { after: lost })
  expect(await nextChange(resumed)).toMatchObject({ operation: 'RESET' })
  await resumed.close()
})

describe('under the rights of a viewer', () => {
  let secured: Live
  const token = (team: string) => sign({ role: roles.user, team, exp: inSeconds(600) })
  beforeAll(async () => {
    await log.query(`alter table people enable row level security;
      create policy own on people to ${roles.user}
        using (team = current_setting('request.jwt.claims', true)::json->>'team')`)
    secured = await createLive(log, { jwtSecret: SECRET })
  })
  afterAll(async () => {
    await secured.close()
    await log.query('alter table people disable row level security; drop policy own on people')
  })

  it.each(Object.entries(GRAPHQL_TRANSPORTS))(
    '%s: only rows and changes that it may see',
    async (_name, subscribe) => {
      await log.query(`insert into people values (7, 'blue one', 'blue')`)
      const stream = await subscribe(secured.server.url, PEOPLE, {}, { token: await token('blue') })
      const copy = new CopiedRows()
      await copy.takeUpTo('READY', stream)
      expect(copy.text).toBe('[{"id":7,"name":"blue one","team":"blue"}]')
      await log.query(`update people set team = 'blue' where id = 1; update people set name = 'r' where id = 2;
      update people set team = 'red' where id = 7`)
      await copy.becomes(stream, () => table(`team = 'blue'`))
      await stream.close()
      const again = await subscribe(
        secured.server.url,
        PEOPLE,
        {},
        { token: await token('blue'), after: 'AQEB' },
      )
      const anew = new CopiedRows()
      await anew.takeUpTo('READY', again)
      expect(anew.operations).toEqual(['RESET', 'READ', 'READY'])
      await again.close()
    },
  )

  it('a column that it may not read is refused, also as a condition', async () => {
    for (const document of [
      'subscription { peopleChanged(initial: true) { row { secret } } }',
      'subscription { peopleChanged(initial: true, where: {secret: {isNull: true}}) { row { id } } }',
    ]) {
      const stream = await overGraphqlWs(secured.server.url, document, {}, { token: await token('red') })
      expect(codeOf(await stream.results.next('a refusal'))).toBe('FORBIDDEN')
      await stream.close()
    }
  })

  it('ends when the right is lost', async () => {
    const stream = await overGraphqlWs(secured.server.url, PEOPLE, {}, { token: await token('red') })
    await new CopiedRows().takeUpTo('READY', stream)
    await log.query(`revoke select (name) on people from ${roles.user}`)
    expect(await endOf(stream)).toBe('FORBIDDEN')
    await log.query(`grant select (name) on people to ${roles.user}`)
    await stream.close()
  })
})
