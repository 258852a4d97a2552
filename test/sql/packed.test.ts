import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLog, type Delivery, type Position, type TestLog } from '../support/log.js'
import { packEverything } from '../support/packed.js'

/** The changes of a large statement share rows of the log, and are delivered one by one. */

let log: TestLog
beforeAll(async () => {
  log = await createLog()
})
afterAll(() => log.close())

const COLUMNS = 'id int primary key, v text, j json, n numeric'

async function tables(...names: string[]): Promise<void> {
  for (const name of names) await log.query(`drop table if exists ${name}; create table ${name} (${COLUMNS})`)
  await log.watch(...names)
  await log.fresh()
}
const rowsOfLog = async (operation: string) =>
  Number(
    (
      await log.query(
        `select count(*) from listenql.event where operation = $1
           and xid = (select xid from listenql.event order by xid desc limit 1)`,
        [operation],
      )
    )[0]?.count,
  )
const content = ({ operation, old, new: now, statement }: Delivery) => ({ operation, old, now, statement })

it.each([
  ['INSERT', `insert into large select g, 'v' || g, '{}', g from generate_series(1, 2000) g`, 'I'],
  ['UPDATE', `update large set n = n + 1`, 'U'],
  ['DELETE', `delete from large`, 'D'],
])('%s of 2,000 rows is packed, and delivered in pages as single changes', async (_, sql, operation) => {
  if (operation === 'I') await tables('large')
  await log.query(sql)
  expect(await rowsOfLog('P')).toBeGreaterThan(20)
  expect(await rowsOfLog(operation)).toBe(0)
  const events = await log.fresh(37)
  expect(events.map(event => event.operation)).toEqual(Array(2000).fill(operation))
  expect(new Set(events.map(({ id }) => id)).size).toBe(2000)
  const ids = events.map(({ old, new: now }) => JSON.parse(now ?? old ?? '').id)
  expect([...ids].sort((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (__, index) => index + 1))
  if (operation === 'I') expect(ids).toEqual([...ids].sort((a, b) => a - b))
})

it('a change of the key is DELETE and INSERT, a statement of few rows is not packed, nor is what it sets off', async () => {
  await tables('keys')
  await log.query(`insert into keys select g, null, null, g from generate_series(1, 1500) g`)
  await log.fresh()
  await log.query('update keys set id = id + 10000 where id > 700')
  expect(await rowsOfLog('P')).toBeGreaterThan(1)
  const moved = await log.fresh()
  expect(moved.map(({ operation }) => operation).sort()).toEqual([
    ...Array(800).fill('D'),
    ...Array(800).fill('I'),
  ])
  await log.query('update keys set n = 0 where id < 10')
  expect(await rowsOfLog('P')).toBe(0)
  expect((await log.fresh()).length).toBe(9)
})

it('a value that is too large for the log is left out', async () => {
  await tables('huge')
  const client = await log.connect()
  expect(await packEverything(client)).toBeGreaterThan(0)
  await client.query(
    `insert into huge select g, case when g = 40 then repeat(chr(1), 23000000) else 'v' end, null, g from generate_series(1, 60) g`,
  )
  const events = await log.fresh()
  expect(events.length).toBe(60)
  expect(events[39]?.new).toBe('{"id":40,"v":null,"j":null,"n":40,"":{"v":23000000}}')
  expect(events[38]?.new).toBe('{"id":39,"v":"v","j":null,"n":39}')
})

const text = fc.oneof(
  fc.constantFrom(null, '', '"', '\\', '\n', '\u0001', '\u001e', '\u2028', 'é😀'),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map(value => value.replaceAll('\0', '')),
  fc.integer({ min: 1, max: 3000 }).map(length => 'x'.repeat(length)),
)
const json = fc.oneof(
  fc.constantFrom(null, '{}', '[1,\n 2,\t3]', '"\\u001e"', '"\\u0000"', ' "a" ', 'null'),
  fc.jsonValue().map(value => JSON.stringify(value)),
)
const rows = fc.array(fc.record({ v: text, j: json }), { minLength: 1, maxLength: 60 })
const statement = fc.oneof(
  rows.map(list => ({ sql: 'insert', list })),
  fc.record({ sql: fc.constantFrom('update', 'move', 'delete'), list: rows }),
)

it('packed changes are those that are logged one by one, wherever a reader stops and comes back', async () => {
  await tables('plain')
  const own = await createLog()
  try {
    await own.query(`create table plain (${COLUMNS})`)
    await own.watch('plain')
    const packing = await own.connect()
    expect(await packEverything(packing)).toBe(1)
    const single = await log.connect()
    await fc.assert(
      fc.asyncProperty(
        fc.array(statement, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 30 }),
        async (list, page) => {
          const start = await own.newest()
          for (const client of [single, packing]) {
            await client.query('begin; delete from plain')
            for (const { sql, list: values } of list) await client.query(toSql(sql), [JSON.stringify(values)])
            await client.query('commit')
          }
          const expected = (await log.fresh()).map(content)
          const events = await own.fresh(page)
          // An UPDATE pairs rows by a join, which gives them in no order.
          const sorted = (of: readonly object[]) => of.map(one => JSON.stringify(one)).sort()
          expect(sorted(events.map(content))).toEqual(sorted(expected))
          const at: Position[] = [{ ...start, ord: 2_147_483_647, statement: 0, id: 0 }, ...events]
          for (const [index, position] of at.entries()) {
            if (index % page !== 0) continue
            const rest = await own.read(position, 10_000)
            expect(rest).toEqual(events.slice(index))
          }
        },
      ),
      { numRuns: 40 },
    )
  } finally {
    await own.close()
  }
}, 120_000)

function toSql(kind: string): string {
  const values = `select i, v ->> 'v' as v, (v ->> 'j')::json as j from json_array_elements($1::json) with ordinality x(v, i)`
  if (kind === 'insert')
    return `insert into plain select 1000 + i + coalesce((select max(id) from plain), 0), v, j, i from (${values}) r`
  if (kind === 'update')
    return `update plain p set v = r.v, j = r.j from (${values}) r where p.id % 61 = r.i % 61`
  if (kind === 'move')
    return `update plain set id = -id, n = (select count(*) from (${values}) r) where id % 2 = 0`
  return `delete from plain where id % 3 = (select count(*) from (${values}) r) % 3`
}
