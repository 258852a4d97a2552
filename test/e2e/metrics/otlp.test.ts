import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createServer } from '../../../src/index.js'
import { Inbox } from '../../support/inbox.js'
import { createTestDatabase } from '../../support/postgres.js'

afterEach(() => {
  delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT
})

it('a server sends its metrics to the endpoint of the variables, also if it serves none, and a last time when it stops', async () => {
  const bodies = new Inbox<string>()
  const collector = createHttpServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    bodies.push(text)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve))
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  const database = await createTestDatabase()
  const server = await createServer({
    databaseUrl: database.url,
    host: '0.0.0.0',
    port: 0,
    logLevel: 'silent',
  })
  expect(server.metricsUrl).toBeUndefined()
  await server.close()
  const sent = await bodies.next('the last metrics')
  for (const name of ['listenql_build_info', 'listenql_ready', 'process_resident_memory_bytes'])
    expect(sent).toContain(`"${name}"`)
  collector.close()
  await database.close()
})
