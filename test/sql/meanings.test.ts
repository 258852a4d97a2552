import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLog, type TestLog } from '../support/log.js'

/** Which ALTERs give the values of a column another meaning: those for which Postgres rewrites the table, or with another type. */

let log: TestLog
beforeEach(async () => {
  log = await createLog()
  await log.query(`alter database ${log.database.name} set timezone = 'UTC'; create type mood as enum ('a'); create domain temper as mood;
    create domain any_text as text; create domain checked as varchar(30) check (value <> 'x')`)
})
afterEach(() => log.close())

const KEPT = [
  ['varchar(10)', 'varchar(20)'],
  ['varchar(20)', 'varchar'],
  ['varchar(5)', 'text'],
  ['text', 'varchar'],
  ['varchar(10)', 'any_text'],
  ['mood', 'temper'],
  ['temper', 'mood'],
  ['numeric(10,2)', 'numeric(12,2)'],
  ['numeric(10,2)', 'numeric'],
  ['timestamp(3)', 'timestamp(6)'],
  ['timestamp', 'timestamp(6)'],
  ['timestamptz(0)', 'timestamptz'],
  ['time(0)', 'time(3)'],
  ['timetz(3)', 'timetz'],
  ['interval(2)', 'interval(4)'],
  ['interval day', 'interval day to second'],
  ['varbit(4)', 'varbit(8)'],
  ['varbit(4)', 'varbit'],
] as const
const CHANGED = [
  ['varchar(20)', 'varchar(10)'],
  ['varchar', 'varchar(20)'],
  ['text', 'varchar(100)'],
  ['varchar(10)', 'checked'],
  ['varchar(10)[]', 'varchar(20)[]'],
  ['numeric(10,2)', 'numeric(12,4)'],
  ['numeric(12,2)', 'numeric(12,1)'],
  ['numeric(10,2)', 'numeric(9,2)'],
  ['numeric', 'numeric(10,2)'],
  ['timestamp(6)', 'timestamp(3)'],
  ['timestamp', 'timestamptz'], // in UTC, for which Postgres does not rewrite the table
  ['interval(4)', 'interval(2)'],
  ['interval day to second', 'interval day'],
  ['varbit(8)', 'varbit(4)'],
  ['bit(4)', 'varbit'],
  ['char(4)', 'char(8)'],
  ['char(4)', 'text'],
  ['text', 'bpchar'],
  ['cidr', 'inet'],
  ['name', 'text'],
  ['int', 'bigint'],
] as const
const FEW = 4

describe.each([
  ['a table', '', KEPT, CHANGED],
  ['a partitioned table', 'partition by list (id)', KEPT.slice(0, FEW), CHANGED.slice(0, FEW)],
] as const)('in %s', (_what, kind, kept, ends) => {
  it('values keep their meaning under a wider type, and under no other', { timeout: 120_000 }, async () => {
    const cases = [...kept, ...ends]
    await log.query(
      `create table t (id int primary key, ${cases.map(([from], i) => `c${i} ${from}`).join(', ')}) ${kind}`,
    )
    if (kind) await log.query('create table t1 partition of t for values in (1)')
    await log.watch('t')
    const changed = async () => {
      const [row] = await log.query('select column_from, whole_from from listenql.watched')
      expect(row?.whole_from).toBe(1)
      return Object.keys(row?.column_from as object)
    }
    for (const [i, [from, to]] of cases.entries()) {
      await log.query(`alter table t alter c${i} type ${to}`)
      await log.refresh()
      expect((await changed()).includes(`c${i}`), `${from} to ${to}`).toBe(i >= kept.length)
    }
    expect((await changed()).length).toBe(ends.length)
  })
})

it('a wider type of a key leaves the key as it is', async () => {
  await log.query('create table t (k varchar(10) primary key)')
  await log.watch('t')
  await log.query('alter table t alter k type varchar(20)')
  await log.refresh()
  expect(await log.query('select generation, whole_from, column_from from listenql.watched')).toEqual([
    { generation: 2, whole_from: 1, column_from: {} },
  ])
})

it('a wider type counts as a change if the table is rewritten before the next look', async () => {
  await log.query('create table t (id int primary key, v varchar(10), w varchar(10))')
  await log.watch('t')
  await log.query(
    `alter table t alter v type varchar(5); alter table t alter v type varchar(20), alter w type varchar(20)`,
  )
  await log.refresh()
  const [row] = await log.query('select column_from from listenql.watched')
  expect(row?.column_from).toMatchObject({ v: 2 })
})
