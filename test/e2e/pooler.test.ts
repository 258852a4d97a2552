import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { overGraphqlWs } from '../support/clients.js'
import { dataOf, query } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'
import { type PgBouncer, pgbouncer, startPgBouncer } from '../support/pgbouncer.js'

describe.skipIf(!pgbouncer)('through PgBouncer in transaction mode, with doorbell: poll', () => {
  let log: TestLog
  let pooler: PgBouncer
  let server: ListenqlServer

  beforeAll(async () => {
    log = await createLog()
    await log.query('create table people (pk int primary key, name text)')
    await log.watch('people')
    pooler = await startPgBouncer(log.database.url, { mode: 'transaction' })
    server = await createServer({
      databaseUrl: pooler.url,
      doorbell: 'poll',
      port: 0,
      logLevel: 'silent',
    })
  })
  afterAll(async () => {
    await server?.close()
    await pooler?.close()
    await log?.close()
  })

  it('the server reads snapshots and delivers the changes after them', async () => {
    await log.query(`insert into people values (1, 'before')`)
    const { people } = await query(server.url, '{ people { cursor rows { pk name } } }')
    const { cursor, rows } = people as { cursor: string; rows: unknown[] }
    expect(rows).toEqual([{ pk: 1, name: 'before' }])
    const subscription = await overGraphqlWs(
      server.url,
      'subscription ($after: String) { peopleChanged(after: $after) { row { pk name } } }',
      { after: cursor },
    )
    for (let i = 2; i < 50; i++) await log.query('insert into people values ($1, $2)', [i, `n${i}`])
    for (let i = 2; i < 50; i++) {
      expect(dataOf(await subscription.results.next())).toEqual({
        peopleChanged: { row: { pk: i, name: `n${i}` } },
      })
    }
    await subscription.close()
  })
})
