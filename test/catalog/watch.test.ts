import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { statusCommand } from '../../src/commands/status.js'
import { statusWarnings } from '../../src/commands/status-warnings.js'
import { watchCommand } from '../../src/commands/watch.js'
import { readLogStatus } from '../../src/log/log-status.js'
import { migrate } from '../../src/log/migrations.js'
import { connectionOptions } from '../../src/postgres/conninfo.js'
import { commandStreams } from '../support/command.js'
import { createFormerLog } from '../support/former-log.js'
import { createLog, lines, type TestLog } from '../support/log.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

beforeEach(async () => {
  await log.query(`select listenql.unwatch(relid) from listenql.watched;
    drop table if exists p, loose, grand, parent, other_parent, child, plain, orders, customers cascade;
    create table p (r int, v text, primary key (r)) partition by range (r); create table p1 partition of p for values from (0) to (100);
    create table p2 partition of p for values from (100) to (200) partition by range (r);
    create table p2a partition of p2 for values from (100) to (150);
    create table loose (r int not null, v text, primary key (r));
    create table grand (id int, v text); create table parent (w int) inherits (grand); create table other_parent (id int);
    create table child (x int) inherits (parent, other_parent); create table plain (id int primary key)`)
  await log.fresh()
})

async function watch(...tables: string[]) {
  const io = commandStreams()
  const argv = { tables, always: false, grantTo: undefined, patience: 1000 }
  const code = await watchCommand(
    { config: connectionOptions(log.database.url), serverLogin: undefined },
    argv,
    io,
  )
  return { code, out: io.out(), err: io.err() }
}
const watched = async () =>
  (await log.query('select table_name from listenql.watched where since_n is not null order by 1')).map(
    ({ table_name }) => table_name,
  )
/** What the server log and `status` report for a table without a history. */
async function complaints(): Promise<{ readonly refresh: unknown[]; readonly status: readonly string[] }> {
  await log.refresh()
  const rows = (await log.refresh()).filter(({ change }) => change === 'lacking')
  const status = await readLogStatus(await log.connect())
  if (!status) throw new Error('there is no schema listenql')
  return {
    refresh: rows.map(({ table_name, detail }) => `${table_name}: ${detail}`),
    status: statusWarnings(status, { retention: 86_400_000, maxLogSize: undefined, knows: status.version }),
  }
}

describe('a part of another table', () => {
  it.each([
    ['a partition', 'p1', 'p'],
    ['a partition with partitions', 'p2', 'p'],
    ['a partition of a partition', 'p2a', 'p'],
    ['an inheritance child', 'parent', 'grand'],
    ['an inheritance child of several tables', 'child', 'grand and other_parent'],
  ])('is not watched on its own: %s', async (_what, part, root) => {
    const { code, out, err } = await watch(part, 'plain')
    expect(code).toBe(1)
    expect(out).toContain('plain is watched')
    expect(err.replaceAll('public.', '')).toContain(
      `${part} is a part of ${root}, and what is written through that is not logged with the part`,
    )
    expect(err.replaceAll('public.', '')).toContain(`Watch ${root} instead: all its parts come with it`)
    expect(await watched()).toEqual(['plain'])
  })

  it('is watched with the whole table', async () => {
    expect((await watch('p', 'grand')).code).toBe(0)
    await log.query(
      `insert into p values (120, 'a'); insert into p2a values (121, 'b'); insert into child (id, v) values (1, 'c')`,
    )
    expect(lines(await log.fresh())).toEqual([
      'I {"r":120,"v":"a"}',
      'I {"r":121,"v":"b"}',
      'I {"id":1,"v":"c"}',
    ])
  })

  it('of two tables is watched with one of them', async () => {
    expect((await watch('grand')).code).toBe(0)
    const { code, err } = await watch('other_parent')
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('other_parent is watched already, together with'),
    ])
  })
})

describe('a watched table that becomes a part', () => {
  const ATTACH = 'alter table p attach partition loose for values from (500) to (600)'

  it('of an unwatched table loses its history with a warning, and starts a new one once it is independent again', async () => {
    await log.watch('loose')
    await log.query(ATTACH)
    const { refresh, status } = await complaints()
    expect(refresh).toEqual([
      'loose: it is a part of public.p now, and what is written through that is not logged; watch public.p, and unwatch this one',
    ])
    expect(status).toEqual([
      'loose has no history: it is a part of p, and writes through that are not logged; run listenql unwatch loose, listenql watch p',
    ])
    expect(await watched()).toEqual([])
    const io = commandStreams()
    await statusCommand(
      { config: connectionOptions(log.database.url), serverLogin: undefined },
      { retention: 86_400_000, maxLogSize: undefined },
      { json: false },
      io,
    )
    expect(io.out()).toMatch(/ loose +\| none +\|.*\| part of p +\|/)
    await log.query(`insert into p values (501, 'unseen'); alter table p detach partition loose`)
    expect(await complaints()).toEqual({ refresh: [], status: [] })
    await log.fresh()
    await log.query(`insert into loose values (502, 'seen')`)
    expect(lines(await log.fresh())).toEqual(['I {"r":502,"v":"seen"}'])
  })

  it('of a watched table belongs to that table', async () => {
    await log.watch('loose', 'p')
    await log.query(ATTACH)
    expect((await complaints()).refresh).toEqual([
      expect.stringMatching(/^loose: it is a part of public\.p now/),
    ])
    expect(await watched()).toEqual(['p'])
    await log.fresh()
    await log.query(`insert into p values (501, 'a'); insert into loose values (502, 'b')`)
    const events = await log.fresh()
    expect(lines(events)).toEqual(['I {"r":501,"v":"a"}', 'I {"r":502,"v":"b"}'])
    const [p] = await log.query(`select 'p'::regclass::oid::text as oid`)
    expect(new Set(events.map(({ topic }) => topic))).toEqual(new Set([p?.oid]))
    await log.query('alter table p detach partition loose')
    expect((await complaints()).refresh).toEqual([])
    expect(await watched()).toEqual(['loose', 'p'])
    await log.query(`insert into loose values (503, 'its own')`)
    expect(lines(await log.fresh())).toEqual(['I {"r":503,"v":"its own"}'])
  })

  it('by inheritance belongs to its parent', async () => {
    await log.watch('plain')
    await log.query('alter table plain add v text; alter table plain inherit grand')
    expect((await complaints()).refresh).toEqual([
      expect.stringMatching(/^plain: it is a part of public\.grand now/),
    ])
  })

  it('has no history if its child also becomes a part of another watched table', async () => {
    await log.query('create table aside (id int); alter table child no inherit other_parent')
    await log.watch('grand', 'other_parent')
    await log.query('alter table child inherit other_parent')
    expect((await complaints()).refresh).toEqual([
      expect.stringMatching(
        /^other_parent: public\.child belongs to public\.grand as well, which was watched before/,
      ),
    ])
    expect(await watched()).toEqual(['grand'])
    await log.fresh()
    await log.query(`insert into child (id, v) values (1, 'a')`)
    expect(lines(await log.fresh())).toEqual(['I {"id":1,"v":"a"}'])
    await log.query('drop table aside')
  })
})

it('a partition that version 8 watched on its own has no history after the upgrade', async () => {
  const former = await createFormerLog(8)
  try {
    await former.query(
      `create table p (r int primary key) partition by range (r); create table p1 partition of p for values from (0) to (9)`,
    )
    await former.watch('p1')
    await migrate(await former.connect())
    expect((await former.refresh()).filter(({ change }) => change === 'lacking')).toMatchObject([
      { table_name: 'p1' },
    ])
  } finally {
    await former.close()
  }
})

describe('a foreign key without an index', () => {
  it('is named by watch and status, with the remedy', async () => {
    await log.query(`create table customers (id int primary key);
      create table orders (id int primary key, "customer Id" int constraint made_by references customers, again int references customers)`)
    expect((await watch('orders')).err).not.toContain('index') // no relation leads to a table that is not watched
    const { err } = await watch('customers')
    const words =
      'foreign key made_by has no index, so reading the rows that reference a row reads the whole table: create index on orders ("customer Id")'
    expect(err).toContain(`customers has a relation to orders: ${words}`)
    expect((await watch('orders')).err).toContain(`orders references a watched table: ${words}`)
    expect((await complaints()).status).toContainEqual(`F${words.slice(1)}`)
    await log.query('create index on orders (again, id); create index on orders ("customer Id") where id > 0')
    expect((await complaints()).status.filter(line => line.includes('no index'))).toHaveLength(1)
    await log.query('create index on orders ("customer Id")')
    expect((await complaints()).status.filter(line => line.includes('no index'))).toEqual([])
  })
})
