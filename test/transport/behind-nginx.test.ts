import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWithNginx, freePort, type Nginx, startNginx } from '../support/nginx.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { openConnection, openWebSocket, send } from '../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../support/witness.js'

describeWithNginx('behind nginx', () => {
  let database: TestDatabase
  let server: WitnessedServer
  let nginx: Nginx
  let url: string

  beforeAll(async () => {
    database = await createTestDatabase()
    const backend = await freePort()
    server = await startWitnessed(database, { port: backend })
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
    'a WebSocket that the defaults of nginx do not let through is told which lines to add: %s',
    async path => {
      await expect(openWebSocket(url, path, 'graphql-transport-ws')).rejects.toThrow(
        /^426 .*proxy_http_version 1\.1;.*proxy_set_header Upgrade \$http_upgrade;.*proxy_set_header Connection/s,
      )
    },
  )

  it.each(['/half', ''])('a WebSocket whose headers come through works: under "%s"', async prefix => {
    const client = await openWebSocket(url, `${prefix}/listen/people`)
    await database.query(`select pg_notify('people', 'through nginx')`)
    expect(await client.messages.next()).toBe('through nginx')
    client.webSocket.close()
    await client.closed
  })

  it('a request with `Connection: upgrade` and no WebSocket is answered as any other', async () => {
    expect((await send(url, { path: '/graphql?query={channels}' })).body).toBe('{"data":{"channels":["*"]}}')
  })

  it.each(['/bare', '/half', ''])('a stream comes event by event: under "%s"', async prefix => {
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
})
