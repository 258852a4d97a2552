import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { channelQuery, openConnection, post, send } from '../../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../../support/witness.js'

const MAX_MESSAGE = 100_000
const DATA = { data: { channels: ['*'] } }
let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await startWitnessed(database, { maxMessage: MAX_MESSAGE })
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})
afterEach(async () => {
  await server.expectHealthy()
  await server.expectNothingLeft()
})

const asked = (length = 0) => JSON.stringify({ query: '{ channels }', extensions: { x: 'x'.repeat(length) } })
const head = 'POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'

describe('a compressed body', () => {
  it.each([
    ['gzip', gzipSync(asked())],
    ['GZIP', gzipSync(asked(50_000))],
    ['x-gzip', gzipSync(asked())],
    ['deflate', deflateSync(asked())],
    ['gzip', Buffer.concat([gzipSync(asked().slice(0, 10)), gzipSync(asked().slice(10))])],
    ['identity', Buffer.from(asked())],
    ['', Buffer.from(asked())],
  ])('is accepted: %s', async (encoding, body) => {
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }] as Record<string, string>[]) {
      const answer = await post(server.url, body, { 'content-encoding': encoding, ...headers })
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.body)).toEqual(DATA)
    }
  })

  it('is accepted in pieces, and the connection remains usable', async () => {
    const connection = await openConnection(server.url)
    const body = gzipSync(asked(1000))
    connection.socket.write(`${head}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`)
    for (const byte of body) connection.socket.write(Buffer.from([byte]))
    await connection.until(JSON.stringify(DATA))
    connection.socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    expect(await connection.closed).toContain('"ok"')
  })

  it.each([
    ['br', brotliCompressSync(asked())],
    ['zstd', Buffer.from(asked())],
    ['gzip, gzip', gzipSync(gzipSync(asked()))],
    ['constructor', Buffer.from(asked())],
  ])('is refused with 415 and the list of accepted encodings: %s', async (encoding, body) => {
    const answer = await post(server.url, body, { 'content-encoding': encoding })
    expect(answer).toMatchObject({ status: 415, headers: { 'accept-encoding': 'gzip, deflate' } })
    expect(answer.body).toContain('content-encoding')
  })

  it.each([
    ['not compressed', Buffer.from(asked())],
    ['truncated', gzipSync(asked(1000)).subarray(0, -20)],
    ['compressed in another format', deflateSync(asked())],
    ['empty', Buffer.alloc(0)],
    ['with a wrong checksum', flip(gzipSync(asked()), -6)],
  ])('is refused with 400 if it is %s', async (_what, body) => {
    const answer = await post(server.url, body, { 'content-encoding': 'gzip' })
    expect(answer.status).toBe(400)
    expect(answer.body).toMatch(/content-encoding|not JSON/)
  })

  it('may have exactly maxMessage bytes when decompressed, and no more, however small it is compressed', async () => {
    const fits = asked(MAX_MESSAGE - asked().length)
    expect(fits).toHaveLength(MAX_MESSAGE)
    const gzip = { 'content-encoding': 'gzip' }
    expect((await post(server.url, gzipSync(fits), gzip)).status).toBe(200)
    const answer = await post(server.url, gzipSync(`${fits} `), gzip)
    expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } })
    expect(answer.body).toContain('LIMIT_EXCEEDED')
  })

  it('that would decompress to an enormous size is stopped at the limit, before all of it has arrived', async () => {
    const bomb = gzipSync(Buffer.alloc(60_000_000)) // 60 kB, less than maxMessage
    expect(bomb.length).toBeLessThan(MAX_MESSAGE)
    const before = process.memoryUsage().arrayBuffers
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(server.url, bomb, { 'content-encoding': 'gzip' })),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(413))
    // Far below the size of 20 times 60 MB.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60_000_000)

    const connection = await openConnection(server.url)
    connection.socket.write(`${head}Content-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`)
    connection.socket.write(bomb.subarray(0, 30_000)) // and never the rest
    expect(await connection.closed).toMatch(/^HTTP\/1.1 413 /)
  })

  it('whose client disconnects in the middle affects no other client', async () => {
    const body = gzipSync(asked(1000))
    const connection = await openConnection(server.url)
    connection.socket.write(`${head}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`)
    connection.socket.write(body.subarray(0, 20))
    await server.expectHealthy()
    connection.socket.destroy()
  })

  it('may hold a subscription', async () => {
    const connection = await openConnection(server.url)
    const body = gzipSync(JSON.stringify({ query: channelQuery('compressed') }))
    connection.socket.write(
      `${head}Accept: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    connection.socket.write(body)
    await connection.until('retry:')
    await database.query(`select pg_notify('compressed', 'seen')`)
    await connection.until('"seen"')
    connection.socket.destroy()
  })

  it('of a GET is ignored', async () => {
    const answer = await send(server.url, {
      path: '/graphql?query={channels}',
      headers: { 'content-encoding': 'br' },
    })
    expect(answer.status).toBe(200)
  })
})

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  const index = changed.length + at
  changed[index] = (changed[index] ?? 0) ^ 0xff
  return changed
}
