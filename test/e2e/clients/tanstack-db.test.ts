import {
  and,
  createCollection,
  createLiveQueryCollection,
  eq,
  gt,
  type InitialQueryBuilder,
  inArray,
  isNull,
  not,
  or,
} from '@tanstack/db'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createClient, type ListenqlClient } from '../../../src/client/index.js'
import {
  type ListenqlCollectionConfig,
  listenqlCollectionOptions,
} from '../../../src/client/tanstack-db/index.js'
import { type CuttingProxy, startCuttingProxy } from '../../support/cutting-proxy.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'

interface Person {
  id: number
  name: string
  teamId: number | null
  points: number
}
interface Team {
  id: number
  name: string
}

let log: TestLog
let live: Live
let proxy: CuttingProxy
beforeAll(async () => {
  log = await createLog()
  await log.query(`
    create table teams (id int primary key, name text not null);
    create table people (id int primary key, name text not null, team_id int, points int not null)`)
  await log.watch('people', 'teams')
  live = await createLive(log)
  await live.ready('{ people { cursor } teams { cursor } }')
  proxy = await startCuttingProxy(live.server.url)
})
afterAll(async () => {
  await proxy.close()
  await live.close()
  await log.close()
})

let client: ListenqlClient
const ended: (() => unknown)[] = []
beforeEach(async () => {
  await log.query(`
    truncate people, teams;
    insert into teams select n, 'team ' || n from generate_series(1, 3) n;
    insert into people select n, 'person ' || n, n % 4, 10 from generate_series(1, 8) n`)
  client = createClient({
    url: `${proxy.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryWait: () => new Promise(resolve => setTimeout(resolve, 5)),
  })
})
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
  await client.dispose()
  await proxy.cut() // a test that has failed may have left it so
  await proxy.mend()
})

function createPeople(more: Partial<ListenqlCollectionConfig<Person>> = {}) {
  const people = createCollection(
    listenqlCollectionOptions<Person>({
      client,
      table: 'people',
      columns: ['name', 'teamId', 'points'],
      ...more,
    }),
  )
  ended.push(() => people.cleanup())
  return people
}

function createTeams(more: Partial<ListenqlCollectionConfig<Team>> = {}) {
  const teams = createCollection(
    listenqlCollectionOptions<Team>({ client, table: 'teams', columns: ['name'], ...more }),
  )
  ended.push(() => teams.cleanup())
  return teams
}

/** A live query. `rows` are its rows as texts, in order. */
function show<Row extends object>(query: (q: InitialQueryBuilder) => unknown, textOf: (row: Row) => string) {
  const shown = createLiveQueryCollection({
    startSync: true,
    query: query as (q: InitialQueryBuilder) => ReturnType<InitialQueryBuilder['from']>,
  })
  ended.push(() => shown.cleanup())
  const rows = () => (shown.toArray as unknown as Row[]).map(textOf).sort()
  const states: string[][] = []
  shown.subscribeChanges(() => states.push(rows()))
  return { shown, rows, states }
}

async function select(sql: string): Promise<string[]> {
  return (await log.query(sql)).map(({ text }) => text as string).sort()
}

/** Two writers of random transactions that change both tables. Each transaction leaves the sum of points as it was. */
async function startWriters(): Promise<{ stop(): Promise<void> }> {
  const connections = await Promise.all([log.connect(), log.connect()])
  let isOver = false
  const writers = Promise.all(
    connections.map(async connection => {
      while (!isOver) await writeAtRandom(connection)
      await connection.end()
    }),
  )
  async function stop(): Promise<void> {
    isOver = true
    await writers
  }
  ended.push(stop)
  return { stop }
}

async function writeAtRandom(connection: pg.Client): Promise<void> {
  const random = (below: number) => Math.floor(Math.random() * below)
  await withoutDeadlock(async () => {
    await connection.query('rollback') // of the attempt that ended in a deadlock
    await connection.query('begin')
    await connection.query(
      'update people set points = points + case when id = $1 then 1 else -1 end where id in ($1, $2)',
      [1 + random(2), 3 + random(2)],
    )
    await connection.query('update people set team_id = $2 where id = $1', [1 + random(8), random(5)])
    await connection.query('delete from teams where id = $1', [random(5)])
    await connection.query(
      'insert into teams values ($1, $2) on conflict (id) do update set name = excluded.name',
      [random(5), `team ${random(1000)}`],
    )
    await connection.query(random(5) === 0 ? 'rollback' : 'commit')
  })
}

async function duringOutage(sql: string): Promise<void> {
  await proxy.cut()
  await log.query(sql).finally(proxy.mend)
}

/** Writes again after a deadlock with the writers. */
async function withoutDeadlock(write: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await write()
      return
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== DEADLOCK) throw error
    }
  }
}

const DEADLOCK = '40P01'

describe('a join of two collections', () => {
  const JOINED = `select p.id || ' ' || p.name || ' in ' || coalesce(t.name, 'none') as text from people p left join teams t on t.id = p.team_id`

  it('stays right under random writers, through lost connections, TRUNCATE and an expired position', async () => {
    const people = createPeople()
    const teams = createTeams()
    const joined = show<{ id: number; person: string; team: string | undefined }>(
      q =>
        q
          .from({ person: people })
          .leftJoin({ team: teams }, ({ person, team }) => eq(person.teamId, team.id))
          .select(({ person, team }) => ({ id: person.id, person: person.name, team: team?.name })),
      ({ id, person, team }) => `${id} ${person} in ${team ?? 'none'}`,
    )
    await Promise.all([people.preload(), teams.preload()])
    const disturbances: (() => Promise<unknown>)[] = [
      async () => undefined,
      () => duringOutage(`update people set name = name || '.'`),
      () => log.query(`truncate teams; insert into teams values (1, 'one')`),
      () => log.query('alter table people add column more int'),
      () => duringOutage('alter table people drop column more'),
    ]
    for (const disturb of disturbances) {
      const before = joined.states.length
      const writers = await startWriters()
      await expect.poll(() => joined.states.length, { timeout: 20_000 }).toBeGreaterThan(before + 20)
      await withoutDeadlock(disturb)
      await expect.poll(() => joined.states.length, { timeout: 20_000 }).toBeGreaterThan(before + 40)
      await writers.stop()
      const expected = await select(JOINED)
      await expect.poll(joined.rows, { timeout: 20_000 }).toEqual(expected)
    }
    expect(joined.rows().length).toBe(8)
  }, 120_000)

  it('a transaction is in a collection as a whole at every moment', async () => {
    const people = createPeople()
    await people.preload()
    const sums = new Set<number>()
    let states = 0
    people.subscribeChanges(() => {
      states++
      sums.add(people.toArray.reduce((sum, { points }) => sum + points, 0))
    })
    const writers = await startWriters()
    await expect.poll(() => states, { timeout: 20_000 }).toBeGreaterThan(100)
    await writers.stop()
    expect([...sums]).toEqual([80])
  }, 60_000)
})

describe('optimistic writes', () => {
  /** A collection whose writes go to the database as an application's API would do them. */
  function createWritable(more: Partial<ListenqlCollectionConfig<Person>> = {}) {
    return createPeople({
      async onInsert({ transaction, collection }) {
        const { name, teamId } = transaction.mutations[0].modified
        const [written] = await log.query(
          `insert into people select max(id) + 1, upper($1), $2, 0 from people returning pg_current_xact_id()::text as xid`,
          [name, teamId],
        )
        await collection.utils.awaitTransaction(written?.xid as string)
      },
      async onUpdate({ transaction, collection }) {
        const { key, modified } = transaction.mutations[0]
        const [written] = await log.query(
          'update people set name = $2, team_id = $3 where id = $1 returning pg_current_xact_id()::text as xid',
          [key, modified.name, modified.teamId],
        )
        await collection.utils.awaitTransaction(written?.xid as string)
      },
      async onDelete({ transaction, collection }) {
        const { key } = transaction.mutations[0]
        const [written] = await log.query(
          'delete from people where id = $1 returning pg_current_xact_id()::text as xid',
          [key],
        )
        await collection.utils.awaitTransaction(written?.xid as string)
      },
      ...more,
    })
  }
  const textOf = ({ id, name }: Person) => `${id} ${name}`

  it('end in the moment in which their own change arrives: no state shows anything else', async () => {
    const people = createWritable({ where: { id: { gte: 7 } } })
    const { rows, states } = show<Person>(q => q.from({ people }), textOf)
    await people.preload()
    expect(rows()).toEqual(['7 person 7', '8 person 8'])
    states.length = 0

    await people.insert({ id: -1, name: 'new', teamId: null, points: 0 }).isPersisted.promise
    expect(states).toEqual([
      ['-1 new', '7 person 7', '8 person 8'],
      ['7 person 7', '8 person 8', '9 NEW'],
    ])
    states.length = 0

    const rename = people.update(7, draft => {
      draft.name = 'seven'
    })
    await rename.isPersisted.promise
    await people.delete(8).isPersisted.promise
    for (const state of states.slice(0, -1)) expect(state).toContain('7 seven')
    expect(states.at(-1)).toEqual(['7 seven', '9 NEW'])
    expect(states.filter(state => state.includes('8 person 8')).length).toBeLessThanOrEqual(2)
    expect(people.toArray.every(({ $synced }) => $synced)).toBe(true)
  })

  it('that overlap each other and those of others never show an earlier value again', async () => {
    const people = createWritable()
    const { states } = show<Person>(
      q => q.from({ people }),
      ({ id, name }) => `${id}:${name}`,
    )
    await people.preload()
    states.length = 0
    const rounds = 15
    await Promise.all([
      (async () => {
        for (let n = 1; n <= rounds; n++) {
          const write = people.update(1, draft => {
            draft.name = `mine ${n}`
          })
          await write.isPersisted.promise
        }
      })(),
      (async () => {
        for (let n = 1; n <= rounds; n++) {
          const write = people.update(2, draft => {
            draft.name = `mine ${n}`
          })
          await write.isPersisted.promise
        }
      })(),
      (async () => {
        for (let n = 1; n <= rounds; n++)
          await log.query('update people set name = $1 where id = 3', [`theirs ${n}`])
      })(),
    ])
    await expect.poll(() => people.get(3)?.name).toBe(`theirs ${rounds}`)
    for (const id of [1, 2, 3]) {
      const numbers = states.map(rows =>
        Number(/\d+$/.exec(rows.find(row => row.startsWith(`${id}:`)) ?? '')?.[0]),
      )
      // "person 1" is the state before the first write.
      const names = states.map(rows => rows.find(row => row.startsWith(`${id}:`)) ?? 'absent')
      const written = numbers.slice(names.findIndex(name => !name.includes('person')))
      expect(names).not.toContain('absent')
      expect(written).toEqual([...written].sort((a, b) => a - b))
      expect(written.at(-1)).toBe(rounds)
    }
  })

  it('through a lost connection, they end with the change that arrives after it', async () => {
    const people = createWritable({ where: { id: { eq: 1 } } })
    const { states } = show<Person>(q => q.from({ people }), textOf)
    await people.preload()
    states.length = 0
    await proxy.cut()
    const { isPersisted } = people.update(1, draft => {
      draft.name = 'offline'
    })
    await expect.poll(() => people.utils.status()?.state).toBe('offline')
    await proxy.mend()
    await isPersisted.promise
    expect(new Set(states.map(String))).toEqual(new Set(['1 offline']))
  })

  it('whose rows the collection does not contain time out, with a hint', async () => {
    const people = createPeople({ where: { id: { eq: 1 } } })
    await people.preload()
    const write = async () => {
      const [written] = await log.query(
        'update people set points = 11 where id = 2 returning pg_current_xact_id()::text as xid',
      )
      return written?.xid as string
    }
    // Right after a read, the transaction might be in the rows: the rows that are then read again certainly contain it.
    await people.utils.awaitTransaction(await write(), 1)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 })
    ended.push(() => vi.useRealTimers())
    await expect(people.utils.awaitTransaction(await write(), 1)).rejects.toThrow(
      /^transaction \d+ did not arrive in people within 1 ms: it changed no row that the collection contains/,
    )
  })

  it('that commit while the rows are being read are in the rows or arrive after them', async () => {
    for (let n = 0; n < 10; n++) {
      const people = createPeople()
      const loaded = people.preload()
      const [written] = await log.query(
        'update people set points = $1 where id = 1 returning pg_current_xact_id()::text as xid',
        [n],
      )
      await people.utils.awaitTransaction(written?.xid as string)
      await loaded
      expect(people.get(1)?.points).toBe(n)
    }
  })
})

describe('a collection on demand', () => {
  const predicates = {
    'an equality': [(p: Ref) => eq(p.teamId, 1), 'team_id = 1'],
    'a list and a number': [
      (p: Ref) => and(inArray(p.teamId, [1, 2]), gt(p.points, 9)),
      'team_id in (1, 2) and points > 9',
    ],
    'an alternative': [(p: Ref) => or(eq(p.teamId, 3), isNull(p.teamId)), 'team_id = 3 or team_id is null'],
    'a negation, which loads everything': [(p: Ref) => not(eq(p.name, 'person 1')), `name <> 'person 1'`],
    'a value that is not one of the column': [(p: Ref) => eq(p.points, 1.5), 'false'],
  } as const
  type Ref = Parameters<Parameters<ReturnType<InitialQueryBuilder['from']>['where']>[0]>[0] & Person

  it('has what each query asks for, under random writers', async () => {
    const people = createPeople({ syncMode: 'on-demand' })
    const queries = Object.values(predicates).map(([where, sql]) => ({
      sql: `select id || ' ' || name || ' ' || points as text from people where ${sql}`,
      ...show<Person>(
        q => q.from({ person: people }).where(({ person }) => where(person as unknown as Ref)),
        ({ id, name, points }) => `${id} ${name} ${points}`,
      ),
    }))
    const writers = await startWriters()
    await Promise.all(queries.map(({ shown }) => shown.preload()))
    await expect.poll(() => queries[0]?.states.length ?? 0, { timeout: 20_000 }).toBeGreaterThan(20)
    await proxy.cut()
    await proxy.mend()
    await withoutDeadlock(() => log.query('alter table people add column again int'))
    await writers.stop()
    for (const { rows, sql } of queries) {
      const expected = await select(sql)
      await expect.poll(rows, { timeout: 20_000 }).toEqual(expected)
    }
    await log.query('alter table people drop column again')
  }, 60_000)

  it('loads only the rows of a join', async () => {
    const people = createPeople({ syncMode: 'on-demand' })
    const teams = createTeams({ syncMode: 'on-demand' })
    const { rows, shown } = show<{ id: number; team: string | undefined }>(
      q =>
        q
          .from({ person: people })
          .leftJoin({ team: teams }, ({ person, team }) => eq(person.teamId, team.id))
          .where(({ person }) => eq(person.id, 1))
          .select(({ person, team }) => ({ id: person.id, team: team?.name })),
      ({ id, team }) => `${id} in ${team}`,
    )
    await shown.preload()
    await expect.poll(rows).toEqual(['1 in team 1'])
    expect([...people.keys()]).toEqual([1])
    await log.query('update people set team_id = 2 where id = 1')
    await expect.poll(rows).toEqual(['1 in team 2'])
  })
})
