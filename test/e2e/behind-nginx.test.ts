import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWithNginx, freePort, type Nginx, startNginx } from '../support/nginx.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { openConnection, openWebSocket, send } from '../support/raw.js'
import { waitUntil } from '../support/wait.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

describeWithNginx('behind nginx', () => {
  let database: TestDatabase
  let server: WitnessedServer
  let nginx: Nginx
  let url: string

  beforeAll(async () => {
    database = await createTestDatabase()
    const backend = await freePort()
    server = await startWitnessed(database, { port: backend, maxBuffer: 1024 * 1024 })
    nginx = await startNginx(
      port => `
  server {
    listen ${port};
    location /bare/ { proxy_pass http://127.0.0.1:${backend}/; }
    location /half/ {
      proxy_pass http://127.0.0.1:${backend}/;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
    location / {
      proxy_pass http://127.0.0.1:${backend};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }`,
    )
    url = `http://127.0.0.1:${nginx.port}`
  })
  afterAll(async () => {
    await server?.expectHealthy()
    await server?.expectNothingLeft()
    await nginx?.close()
    await server?.close()
    await database?.close()
  })

  it.each(['/bare/graphql', '/bare/listen/people'])(
    'a WebSocket that nginx blocks by default gets an answer with the lines to add: %s',
    async path => {
      await expect(openWebSocket(url, path, 'graphql-transport-ws')).rejects.toThrow(
        /^426 .*proxy_http_version 1\.1;.*proxy_set_header Upgrade \$http_upgrade;.*proxy_set_header Connection/s,
      )
    },
  )

  it.each(['/half', ''])('a WebSocket whose headers pass through works under "%s"', async prefix => {
    const client = await openWebSocket(url, `${prefix}/listen/people`)
    await database.query(`select pg_notify('people', 'through nginx')`)
    expect(await client.messages.next()).toBe('through nginx')
    client.webSocket.close()
    await client.closed
  })

  it('a request with `Connection: upgrade` and no WebSocket is answered like any other', async () => {
    expect((await send(url, { path: '/graphql?query={channels}' })).body).toBe('{"data":{"channels":["*"]}}')
  })

  it.each(['/bare', '/half', ''])('a stream arrives event by event under "%s"', async prefix => {
    const connection = await openConnection(url)
    const query = encodeURIComponent('subscription { channel(name: "people") { payload } }')
    connection.socket.write(
      `GET ${prefix}/graphql?query=${query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`,
    )
    await connection.until('retry:')
    await database.query(`select pg_notify('people', 'at once')`)
    await connection.until('at once')
    connection.socket.destroy()
  })

  // By default nginx uses HTTP/1.0 towards the server: there the end of a connection looks like the end of a
  // response.
  it.each(['/bare', ''])(
    'a stream that is cut for slowness does not look complete under "%s"',
    async prefix => {
      const slow = connect(nginx.port, '127.0.0.1')
      const query = encodeURIComponent('subscription { channel(name: "slow") { payload } }')
      slow.write(
        `GET ${prefix}/graphql?query=${query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`,
      )
      await once(slow, 'readable') // accepted; nothing is read from here on
      const cuts = () => server.ofType('subscriber.cut').length
      const before = cuts()
      await waitUntil(async () => {
        await database.query(
          `select pg_notify('slow', g || repeat('x', 7000)) from generate_series(1, 500) g`,
        )
        return cuts() > before
      }, 'the cut')
      const chunks: Buffer[] = []
      slow.on('data', chunk => chunks.push(chunk))
      await once(slow, 'close')
      const text = Buffer.concat(chunks).toString()
      expect(text).toContain('Transfer-Encoding: chunked')
      expect(text.slice(-7)).not.toBe('\r\n0\r\n\r\n')
      expect(text).not.toContain('event: complete')
    },
  )
})
