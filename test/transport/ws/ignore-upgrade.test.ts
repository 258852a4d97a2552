import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { waitUntil } from '../../support/wait.js'

let database: TestDatabase
let server: ListenqlServer
beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({ databaseUrl: database.url, port: 0, logLevel: 'silent' })
})
afterAll(async () => {
  await server.close()
  await database.close()
})

const OFFER = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'

/** Sends a request in pieces, and returns the whole answer, which ends with the connection. */
async function exchange(...pieces: readonly string[]): Promise<string> {
  const socket = connect(server.port, '127.0.0.1')
  let answer = ''
  socket.setNoDelay(true)
  socket.on('data', chunk => {
    answer += chunk
  })
  const ended = new Promise(resolve => socket.once('close', resolve))
  for (const piece of pieces) {
    await new Promise<void>(resolve => socket.write(piece, () => setImmediate(resolve)))
  }
  await ended
  return answer
}

it('a GET that offers h2c, as curl --http2 does, is answered', async () => {
  const answer = await exchange(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n${OFFER}\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
})

it('a POST that offers h2c is answered, however its body is split', async () => {
  const body = JSON.stringify({ query: '{ channels }' })
  const head = `POST /graphql HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`
  const expected = '{"data":{"channels":["*"]}}'
  for (const pieces of [
    [head + OFFER, '\r\n', body],
    [`${head}${OFFER}\r\n${body.slice(0, 5)}`, body.slice(5)],
    [`${head}${OFFER}\r\n${body}`],
  ]) {
    expect(await exchange(...pieces)).toContain(expected)
  }
})

it('a request that offers h2c gets a stream', async () => {
  const query = encodeURIComponent('subscription { channel(name: "h2c") { payload } }')
  const socket = connect(server.port, '127.0.0.1')
  let answer = ''
  socket.on('data', chunk => {
    answer += chunk
  })
  socket.write(
    `GET /graphql?query=${query} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${OFFER}\r\n`,
  )
  await waitUntil(() => answer.includes('retry: 1000\n\n'), 'acceptance')
  await database.query(`select pg_notify('h2c', 'heard')`)
  await waitUntil(() => answer.includes('"payload":"heard"'), 'the event')
  socket.destroy()
})

it('a foreign origin and a foreign host are refused also with an offer of h2c', async () => {
  const foreign = 'GET /graphql HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n'
  expect(await exchange(`${foreign}${OFFER}\r\n`)).toMatch(/^HTTP\/1\.1 403 /)
  expect(await exchange(`GET / HTTP/1.1\r\nHost: evil.example\r\n${OFFER}\r\n`)).toMatch(/^HTTP\/1\.1 421 /)
})
