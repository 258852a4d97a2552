import { afterAll, beforeAll, expect, it } from 'vitest'
import { newest, pull, read } from '../../src/log/log-queries.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog({ encoding: 'EUC_TW' })
  await log.query('create table t (id int primary key, v text)')
  await log.watch('t')
})
afterAll(() => log.close())

it('a page that is full of characters with four bytes each does not end at the end of its batch', async () => {
  const client = await log.connect()
  const start = (await pull(client, await newest(client))).position
  const [size] = await log.query(`select octet_length('丏') as bytes`)
  expect(size).toEqual({ bytes: 4 })
  await client.query(`insert into t select i, repeat('丏', 350000) from generate_series(1, 4) i`)
  await pull(client, start, { limit: 1 })
  const ids: number[] = []
  for (let position = start; ; ) {
    const page = await read(client, position)
    if (page.isLast) break
    ids.push(...page.events.map(event => JSON.parse(event.new ?? '{}').id as number))
    position = page.position
  }
  expect(ids).toEqual([1, 2, 3, 4])
})
