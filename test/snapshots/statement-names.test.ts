import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { EVERYTHING } from '../../src/filters/index.js'
import { createPlanCompiler } from '../../src/snapshots/plan-compiler.js'
import { beginCut, SAVEPOINT } from '../../src/snapshots/snapshot-cut.js'
import type { Outcome } from '../../src/snapshots/snapshot-jobs.js'
import { snapshotQuery } from '../../src/snapshots/snapshot-query.js'
import { createSnapshotReader, type SnapshotReader } from '../../src/snapshots/snapshot-reader.js'
import { planOf, type ReadAs } from '../../src/snapshots/snapshot-request.js'
import { createStatementNames } from '../../src/snapshots/statement-names.js'
import { createViewerRoles, type ViewerRoles, viewerOf } from '../support/viewers.js'
import { createWatchedLog, type WatchedLog } from '../support/watched-log.js'

let watched: WatchedLog
let roles: ViewerRoles
let table: WatchedTable
let role: string
let client: pg.Client
beforeAll(async () => {
  watched = await createWatchedLog()
  roles = createViewerRoles(watched)
  role = await roles.add('viewer')
  await watched.table('id int primary key', 'numbers')
  table = await watched.find('numbers')
  await watched.log.database.query(`insert into numbers values (1), (2); grant select on numbers to ${role}`)
})
afterAll(async () => {
  await roles?.close()
  await watched?.close()
})
beforeEach(async () => {
  client = await watched.server.connect()
})

const LIMITS = { queryTimeout: 20_000, maxBytes: 1e6, flags: { timeout: '--t', bytes: '--b' } }
const readerThatKeeps = (keeps: boolean) =>
  createSnapshotReader(LIMITS, createPlanCompiler(), createStatementNames(keeps))

async function read(reader: SnapshotReader, limit = 10, as: ReadAs = {}): Promise<Outcome['kind']> {
  const plan = planOf(table, { filter: EVERYTHING, orderBy: [], limit, offset: 0 })
  await beginCut(client, {
    queryTimeout: 20_000,
    signal: new AbortController().signal,
    onTaking: () => undefined,
  })
  await client.query(`savepoint ${SAVEPOINT}`)
  const { kind } = await reader.read(client as never, snapshotQuery(plan, as))
  await client.query('rollback')
  return kind
}

const prepared = async () =>
  (await client.query(`select name from pg_prepared_statements where name like 'listenql %'`)).rows.length

describe('statements that read tables', () => {
  it('stay prepared from the second read on', async () => {
    const reader = readerThatKeeps(true)
    expect([await read(reader), await prepared()]).toEqual(['rows', 0])
    expect([await read(reader), await prepared()]).toEqual(['rows', 2]) // the rows, and the check of the table
    expect([await read(reader, 1), await prepared()]).toEqual(['rows', 2]) // the limit is a parameter
  })

  it('do not stay prepared behind a pooler', async () => {
    const reader = readerThatKeeps(false)
    for (let i = 0; i < 3; i++) expect([await read(reader), await prepared()]).toEqual(['rows', 0])
  })

  it('are prepared again for each read once something has dropped them', async () => {
    const reader = readerThatKeeps(true)
    for (let i = 0; i < 2; i++) await read(reader)
    await client.query('deallocate all')
    for (let i = 0; i < 2; i++) expect([await read(reader), await prepared()]).toEqual(['rows', 0])
  })

  it('do not stay prepared in a session that has evaluated policies', async () => {
    const reader = readerThatKeeps(true)
    const as = { viewer: viewerOf(role, {}), isSecured: true }
    for (let i = 0; i < 3; i++) expect([await read(reader, 10, as), await prepared()]).toEqual(['rows', 0])
    for (let i = 0; i < 2; i++) expect([await read(reader), await prepared()]).toEqual(['rows', 0])
  })

  it('are limited in number', async () => {
    const names = createStatementNames(true)
    const texts = Array.from({ length: 60 }, (_, i) => `select ${i}`)
    for (const text of texts) names.of(client, text)
    expect(texts.filter(text => names.of(client, text) !== undefined).length).toBe(50)
    expect(names.of(client, texts[0] as string)).toBe(names.of(client, texts[0] as string))
  })
})
