import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { endOfBatch } from '../../../src/log/position.js'
import { query } from '../../support/graphql-request.js'
import { createLive, type Live } from '../../support/live.js'
import { createLog, type TestLog } from '../../support/log.js'
import { createRandom } from '../random.js'
import { isByChance } from '../transactions.js'
import { printDocument } from './document.js'
import { readHistory } from './history.js'
import { randomDocument } from './random-document.js'
import { randomSchema } from './random-schema.js'
import { randomStatement } from './random-writes.js'
import { sceneOf } from './schema-sql.js'
import { type Claim, judge } from './verdict.js'

/*
 * Tests the stress run of live queries itself, without faults: every schema that it draws can be created and written to, every document
 * is valid, and the model agrees with queries. The verdict finds claims that are wrong; otherwise the run would prove nothing.
 */

const STATEMENTS = 80
const DOCUMENTS = 30

const open: { close(): Promise<void> }[] = []
async function closeAll(): Promise<void> {
  for (const one of open.splice(0).reverse()) await one.close()
}
afterEach(closeAll)

/** A server on the scene of a seed. */
async function start(seed: number) {
  const random = createRandom(seed, 'model')
  // Roles belong to the whole server of Postgres, which tests share.
  const schema = { ...randomSchema(random), policies: [] }
  const scene = sceneOf(schema, random)
  const log: TestLog = await createLog()
  open.push(log)
  await log.query(scene.sql)
  await log.watch(...scene.watched)
  const live: Live = await createLive(log)
  open.push(live)
  const ask = (text: string) => query(live.server.url, `{ ${text} }`)
  const history = () => readHistory(text => log.query(text) as Promise<never[]>, schema)
  /** Runs random statements. @returns how many were not refused by a constraint */
  async function write(count: number): Promise<number> {
    let written = 0
    for (let i = 0; i < count; i++) {
      const done = await log.query(randomStatement(schema, random)).catch((error: unknown) => {
        if (!isByChance(error)) throw error
      })
      if (done) written++
    }
    return written
  }
  return { schema, random, log, ask, history, write }
}

it('the model returns what queries return, for any schema', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(999_999), async seed => {
      const { schema, random, ask, history, write } = await start(seed)
      expect(await write(STATEMENTS)).toBeGreaterThan(STATEMENTS / 3)
      const claims: Claim[] = []
      for (let i = 0; i < DOCUMENTS; i++) {
        const document = randomDocument(schema, random)
        const data = await ask(printDocument(document))
        claims.push({ kind: 'query', by: 'a client', document, position: undefined, data })
      }
      const { judged, complaints } = judge(claims, await history(), schema)
      expect(complaints).toEqual([])
      expect(judged).toHaveLength(DOCUMENTS)
      expect(
        claims.filter(({ data }) => /"(v|k|r)\d[ab]?":/.test(JSON.stringify(data))).length,
      ).toBeGreaterThan(DOCUMENTS / 4)
      await closeAll()
    }),
    { numRuns: 3 },
  )
}, 120_000)

it('the verdict finds a result of another moment, and a position that does not exist', async () => {
  const { schema, log, ask, history, write } = await start(1)
  const documents = schema.tables.map(table => ({
    roots: [
      {
        kind: 'aggregate' as const,
        alias: 'all',
        table,
        where: { kind: 'and' as const, all: [] },
        measures: [{ function: 'count' as const }],
      },
    ],
  }))
  const read = async () => {
    const claims: Omit<Claim, 'position'>[] = []
    for (const document of documents)
      claims.push({ kind: 'query', by: 'a client', document, data: await ask(printDocument(document)) })
    return { claims, position: await log.newest() }
  }
  const before = await read()
  await log.query(`truncate ${schema.tables.map(({ name }) => name).join(', ')}`)
  await write(1)
  const after = await read()
  const verdict = async (claims: readonly Omit<Claim, 'position'>[], position: Claim['position']) =>
    judge(
      claims.map(claim => ({ ...claim, position })),
      await history(),
      schema,
    ).complaints.length
  expect(await verdict(before.claims, before.position)).toBe(0)
  expect(await verdict(after.claims, after.position)).toBe(0)
  expect(await verdict(before.claims, after.position)).toBe(documents.length)
  expect(await verdict(after.claims, before.position)).toBe(documents.length)
  const { n, token } = after.position
  expect(await verdict(after.claims, endOfBatch({ n, token: token + 1 }))).toBe(documents.length)
}, 60_000)
