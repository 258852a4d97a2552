import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { overGraphqlWs } from '../support/clients.js'
import { dataOf, query } from '../support/graphql-request.js'
import { createLog, type TestLog } from '../support/log.js'

let log: TestLog
let server: ListenqlServer
beforeAll(async () => {
  log = await createLog()
  await log.query('create table people (pk int primary key, name text)')
  await log.watch('people')
  await log.fresh()
  await log.database.query(
    `alter role ${log.database.name} set default_transaction_isolation = 'serializable';
     alter role ${log.database.name} set default_transaction_read_only = on`,
  )
  server = await createServer({ databaseUrl: log.database.url, port: 0, logLevel: 'silent' })
})
afterAll(async () => {
  await server.close()
  await log.close()
})

const PEOPLE = 'subscription ($after: String) { peopleChanged(after: $after) { row { name } } }'

it('the server delivers and resumes under any default transaction settings of the login', async () => {
  const { people } = await query(server.url, '{ people { cursor } }')
  const live = await overGraphqlWs(server.url, PEOPLE, {})
  await log.query(`insert into people values (1, 'Paul')`)
  const expected = { peopleChanged: { row: { name: 'Paul' } } }
  expect(dataOf(await live.results.next())).toEqual(expected)
  const resumed = await overGraphqlWs(server.url, PEOPLE, { after: (people as { cursor: string }).cursor })
  expect(dataOf(await resumed.results.next())).toEqual(expected)
  await live.close()
  await resumed.close()
})
