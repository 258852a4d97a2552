import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMigrations } from '../../src/log/migration-files.js'
import { migrate } from '../../src/log/migrations.js'
import { createFormerLog } from '../support/former-log.js'
import { createLog, type TestLog } from '../support/log.js'

/*
 * TRUNCATE of several tables, by name and by CASCADE. Its triggers fire for all tables before it, and for all tables after it, those of
 * partitions and children between those of other tables.
 */

/** The watched tables, each with what is below it. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  a: [],
  p: ['p_0', 'p_1', 'p_1_0', 'p_1_1'],
  c1: [],
  c2: [],
  h: ['h_0', 'h_1'],
  i: ['i_1'],
  nested: [],
}
const ROOT_OF = new Map(
  Object.entries(TABLES).flatMap(([root, below]) => [root, ...below].map(name => [name, root] as const)),
)

const SCHEMA = `
  create table fired (id bigint generated always as identity, name text);
  create function note() returns trigger language plpgsql as $$ begin insert into fired (name) values (tg_table_name); return null; end $$;
  create table a (k bigint primary key, r1 text, r2 int);
  create table p (k1 text, k2 int, r bigint references a, primary key (k1, k2)) partition by hash (k1);
  create table p_0 partition of p for values with (modulus 2, remainder 0);
  create table p_1 partition of p for values with (modulus 2, remainder 1) partition by hash (k1);
  create table p_1_0 partition of p_1 for values with (modulus 2, remainder 0);
  create table p_1_1 partition of p_1 for values with (modulus 2, remainder 1);
  create table c1 (k int primary key, r1 text, r2 int, foreign key (r1, r2) references p);
  create table c2 (k int primary key, r1 text, r2 int, foreign key (r1, r2) references p);
  create table h (v text, r1 text, r2 int, foreign key (r1, r2) references p) partition by list (v);
  create table h_0 partition of h for values in ('low');
  create table h_1 partition of h default;
  create table i (k int primary key, r int references c1);
  create table i_1 () inherits (i);
  create table nested (k int primary key);
  alter table a add foreign key (r1, r2) references p;
  create function in_trigger() returns trigger language plpgsql as $$
    begin if current_setting('test.inner', true) <> '' then execute current_setting('test.inner'); end if; return null; end $$;
  create trigger b before truncate on nested for each statement execute function in_trigger();
  create trigger c after truncate on nested for each statement execute function in_trigger();
  ${[...ROOT_OF.keys()].map(name => `create trigger z after truncate on ${name} for each statement execute function note();`).join('\n')}`

async function prepare(log: TestLog): Promise<void> {
  await log.query(SCHEMA)
  await log.watch(...Object.keys(TABLES))
}

const statement = fc
  .record({
    tables: fc.shuffledSubarray([...ROOT_OF.keys()], { minLength: 1, maxLength: 4 }),
    only: fc.boolean(),
  })
  .map(
    ({ tables, only }) =>
      `truncate ${tables.map(name => (only && name === 'i' ? 'only i' : name)).join(', ')} cascade`,
  )

/** A transaction, and what the trigger of `nested` runs in it. */
const transaction = fc.record({
  statements: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: statement },
      { weight: 1, arbitrary: fc.constant('insert into nested select coalesce(max(k), 0) + 1 from nested') },
      { weight: 1, arbitrary: fc.constant('truncate nested') },
      { weight: 1, arbitrary: statement.map(sql => `do $do$ begin ${sql}; end $do$`) },
    ),
    { minLength: 1, maxLength: 3 },
  ),
  inner: fc.oneof(
    fc.constant(''),
    statement.filter(sql => !sql.includes('nested')),
  ),
})

/** The watched tables whose triggers fired, and those that the log says were truncated. */
async function truncated(log: TestLog, statements: readonly string[], inner: string) {
  const position = await log.newest()
  const session = await log.connect()
  await session.query(
    `truncate fired; begin; select set_config('test.inner', $q$${inner}$q$, true); ${statements.join('; ')}; commit`,
  )
  await session.end()
  const fired = (await log.query('select name from fired order by id')).map(({ name }) => String(name))
  const events = (await log.pull(position)).filter(({ operation }) => operation === 'T')
  const nameOf = new Map(
    (await log.query('select relid::text, table_name from listenql.watched')).map(({ relid, table_name }) => [
      relid,
      String(table_name),
    ]),
  )
  const logged = events.map(({ topic }) => String(nameOf.get(topic) ?? topic))
  return {
    fired: fired.map(name => ROOT_OF.get(name) as string),
    logged,
    names: fired,
  }
}

/** SQLSTATE: Postgres refuses to truncate a table in a trigger of its TRUNCATE. */
const IN_USE = '55006'

const sorted = (names: Iterable<string>) => [...new Set(names)].sort()

describe('TRUNCATE of several tables', () => {
  let log: TestLog
  beforeAll(async () => {
    log = await createLog()
    await prepare(log)
  })
  afterAll(() => log.close())

  it('is logged for each table whose triggers fire, once if the table itself is truncated before those below it', async () => {
    await fc.assert(
      fc.asyncProperty(transaction, async ({ statements, inner }) => {
        const result = await truncated(log, statements, inner).catch(({ code }) => {
          expect(code).toBe(IN_USE)
        })
        if (!result) return
        const { fired, logged, names } = result
        expect(sorted(logged)).toEqual(sorted(fired))
        if (statements.length > 1 || inner !== '') return
        for (const [root, below] of Object.entries(TABLES)) {
          const [first] = names.filter(name => name === root || below.includes(name))
          if (first === root) expect(logged.filter(name => name === root)).toHaveLength(1)
        }
      }),
      { numRuns: 80 },
    )
  })
})

it('after an upgrade from version 14, TRUNCATE is logged for tables after a partition, also in a transaction that is open meanwhile', async () => {
  const log = await createFormerLog(14)
  await prepare(log)
  // What version 14 loses.
  expect(sorted((await truncated(log, ['truncate p cascade'], '')).logged)).toEqual(['p'])
  const position = await log.newest()
  const writer = await log.connect()
  await writer.query('begin; insert into nested values (1); truncate c1 cascade')
  // Later versions wait for transactions that have written.
  expect((await migrate(await log.connect(), { migrations: readMigrations().slice(0, 15) })).from).toBe(14)
  await writer.query('truncate p, c2 cascade; commit')
  const operations = (await log.pull(position)).map(({ operation }) => operation)
  expect(operations).toEqual(['I', ...Array(2 + 6).fill('T')])
  const { logged, fired } = await truncated(log, ['truncate p cascade'], '')
  expect(sorted(logged)).toEqual(sorted(fired))
  expect(logged).toHaveLength(6)
  await log.close()
})
