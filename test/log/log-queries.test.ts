import { afterAll, beforeAll, expect, it } from 'vitest'
import { newest, type Page, pull, type ReadOptions, read } from '../../src/log/log-queries.js'
import { END_OF_BATCH, type Position } from '../../src/log/position.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
beforeAll(async () => {
  log = await createLog()
  await log.query('create table t (id int primary key, v text)')
  await log.watch('t')
})
afterAll(() => log.close())

const idsOf = ({ events }: Page) => events.map(event => JSON.parse(event.new ?? '{}').id as number)

/** Makes batches of transactions with the given numbers of rows. */
async function write(batches: readonly (readonly number[])[], value: string): Promise<Position> {
  await log.query('truncate t')
  const client = await log.connect()
  let start = await newest(client)
  start = (await pull(client, start)).position
  let id = 0
  for (const transactions of batches) {
    for (const rows of transactions) {
      await client.query('insert into t select i, $3 from generate_series($1::int, $2::int) i', [
        id + 1,
        id + rows,
        value,
      ])
      id += rows
    }
    await pull(client, start, { limit: 1 })
  }
  return start
}

/** Reads pages up to the empty one. */
async function readAll(after: Position, options: ReadOptions): Promise<Page[]> {
  const client = await log.connect()
  const pages: Page[] = []
  for (let position = after; pages.at(-1)?.isLast !== true; ) {
    const page = await read(client, position, options)
    pages.push(page)
    position = page.position
  }
  return pages
}

it.each<[string, readonly (readonly number[])[], string, ReadOptions]>([
  ['many events', [[2, 1], [3], [1, 1, 4]], 'small', {}],
  ['the most events that a page may have', [[2, 1], [3], [1, 1, 4]], 'small', { limit: 3 }],
  ['one event', [[2, 1], [3]], 'small', { limit: 1 }],
  ['more bytes than a page may have', [[2], [7]], 'x'.repeat(2 ** 20), {}],
  ['more bytes, of characters with three each', [[2], [7]], '€'.repeat(2 ** 20 / 3), {}],
  ['values that are too large to be read', [[2], [7]], 'x'.repeat(2 ** 20), { maxImage: 1000 }],
])(
  'a page of %s ends at the end of a batch only if it has all events of that batch',
  async (_, batches, value, options) => {
    const start = await write(batches, value)
    const pages = await readAll(start, options)
    const all = pages.flatMap(page => page.events)
    expect(pages.flatMap(idsOf)).toEqual(
      batches.flat().flatMap((rows, i, sizes) => {
        const before = sizes.slice(0, i).reduce((a, b) => a + b, 0)
        return Array.from({ length: rows }, (_unused, k) => before + k + 1)
      }),
    )
    let read = 0
    for (const { events, position } of pages) {
      read += events.length
      const next = all[read]?.position
      if (position.ord === END_OF_BATCH)
        expect(next?.n ?? Number.POSITIVE_INFINITY).toBeGreaterThan(position.n)
      else expect(position).toEqual(events.at(-1)?.position)
    }
  },
)

it('a page of few events ends at the end of a batch, so that their transactions are known to be complete', async () => {
  const [first, ...others] = await readAll(await write([[2, 1], [3]], 'small'), {})
  expect([first?.events.length, first?.position.ord, first?.isLast]).toEqual([6, END_OF_BATCH, false])
  expect(others.map(({ isLast }) => isLast)).toEqual([true])
})
