import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'graphql-ws'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { makeCertificate } from '../../support/certificates.js'
import { TRANSPORTS } from '../../support/clients.js'
import { Inbox } from '../../support/inbox.js'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.js'
import { channelQuery, frame, handshake, openConnection, openWebSocket, send } from '../../support/raw.js'
import { startWitnessed, type WitnessedServer } from '../../support/witness.js'

// Clients written for pg_eventserv: a bare WebSocket with unchanged payloads and nothing else.

let database: TestDatabase
let server: WitnessedServer

beforeAll(async () => {
  database = await createTestDatabase()
  server = await startWitnessed(database)
})
afterAll(async () => {
  await server?.close()
  await database?.close()
})
afterEach(async () => {
  await server.expectHealthy()
  await server.expectNothingLeft()
})

/** The script of a page, which uses only the WebSocket of a browser. */
function connectPage(url: string, show: (data: unknown) => void): Promise<WebSocket> {
  const socket = new WebSocket(url)
  socket.onmessage = event => show(event.data)
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket)
    socket.onerror = event => reject(new Error(event.message))
  })
}

async function leave(socket: WebSocket): Promise<void> {
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.close()
  await closed
}

describe('a page that shows the changes of a table', () => {
  it('receives each change as the trigger wrote it', async () => {
    await database.query(`
      create table depots (id serial primary key, name text, trucks int);
      create function tell_changes() returns trigger language plpgsql as $$
      begin
        perform pg_notify('changes', json_build_object('op', tg_op, 'row',
          case when tg_op = 'DELETE' then row_to_json(old) else row_to_json(new) end)::text);
        return null;
      end $$;
      create trigger tell after insert or update or delete on depots for each row execute function tell_changes()`)
    const shown = new Inbox<unknown>()
    const socket = await connectPage(`ws://localhost:${server.port}/listen/changes`, data => {
      expect(typeof data).toBe('string') // a browser gets text, not a Blob
      shown.push(JSON.parse(String(data)))
    })
    await database.query(`insert into depots (name, trucks) values ('Nord', 3), ('Süd "2"', null)`)
    await database.query(`update depots set trucks = 4 where name = 'Nord'`)
    await database.query('delete from depots where trucks is null')
    expect(await shown.take(4)).toEqual([
      { op: 'INSERT', row: { id: 1, name: 'Nord', trucks: 3 } },
      { op: 'INSERT', row: { id: 2, name: 'Süd "2"', trucks: null } },
      { op: 'UPDATE', row: { id: 1, name: 'Nord', trucks: 4 } },
      { op: 'DELETE', row: { id: 2, name: 'Süd "2"', trucks: null } },
    ])
    await leave(socket)
  })
})

describe('a chat page', () => {
  it('shows every message to all users, in the order of the database', async () => {
    const rooms = [new Inbox<unknown>(), new Inbox<unknown>(), new Inbox<unknown>()]
    const sockets = await Promise.all(
      rooms.map(room => connectPage(`ws://localhost:${server.port}/listen/public`, room.push)),
    )
    const said = ['hello', 'hello', '', ' spaced ', '{"not": "looked at"}', '<b>', 'Grüße 🐘']
    for (const text of said) await database.query(`select pg_notify('public', $1)`, [text])
    for (const room of rooms) expect(await room.take(said.length)).toEqual(said)
    for (const socket of sockets) await leave(socket)
  })
})

describe('the socket', () => {
  it('answers a ping frame with its payload', async () => {
    const client = await openWebSocket(server.url, '/listen/pinged')
    const pong = new Promise(resolve => client.webSocket.once('pong', data => resolve(String(data))))
    client.webSocket.ping('are you there')
    expect(await pong).toBe('are you there')
    client.webSocket.close()
    await client.closed
  })

  it('answers a close frame with its code, and speaks no sub-protocol', async () => {
    for (const code of [1000, 1001, 3000, 4999]) {
      const client = await openWebSocket(server.url, '/listen/closing')
      expect(client.webSocket.protocol).toBe('')
      client.webSocket.close(code, 'bye')
      expect((await client.closed).code).toBe(code)
    }
  })

  it('sends each payload as one unmasked text frame', async () => {
    const connection = await openConnection(server.url)
    connection.socket.write(handshake(server.url, '/listen/frames'))
    const head = await connection.until('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/)
    expect(head).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    const chunks: Buffer[] = []
    connection.socket.on('data', chunk => chunks.push(chunk))
    await database.query(`select pg_notify('frames', 'abc')`)
    await connection.until('abc')
    expect(Buffer.concat(chunks)).toEqual(Buffer.from('\x81\x03abc', 'latin1'))
    connection.socket.write(frame(8, Buffer.from([0x03, 0xe8])))
    await connection.closed
  })

  it.each([
    ['plain', 'people', '/listen/people'],
    ['mixed case', 'MixedCase', '/listen/MixedCase'],
    ['a space', 'my channel', '/listen/my%20channel'],
    ['a plus', 'a+b', '/listen/a+b'],
    ['a percent', '50%', '/listen/50%25'],
    ['an encoded slash', 'a/b', '/listen/a%2Fb'],
    ['a literal slash', 'a/b', '/listen/a/b'],
    ['quotes', `"it's"`, `/listen/%22it's%22`],
    ['a question mark', 'really?', '/listen/really%3F'],
    ['a hash', '#1', '/listen/%231'],
    ['unicode', 'Grüße 🐘', '/listen/Gr%C3%BC%C3%9Fe%20%F0%9F%90%98'],
    ['a query string', 'people', '/listen/people?token=x'],
    ['dots', 'a.b', '/listen/a.b'],
  ])('accepts a channel name with %s', async (_what, channel, path) => {
    const client = await openWebSocket(server.url, path)
    await database.query('select pg_notify($1, $2)', [channel, 'heard'])
    expect(await client.messages.next()).toBe('heard')
    client.webSocket.close()
    await client.closed
  })

  it('does not mix channels', async () => {
    const one = await openWebSocket(server.url, '/listen/one')
    const two = await openWebSocket(server.url, '/listen/One')
    await database.query(
      `select pg_notify('one', 'for one'), pg_notify('One', 'for two'), pg_notify('one', 'end')`,
    )
    expect(await one.messages.take(2)).toEqual(['for one', 'end'])
    expect(await two.messages.next()).toBe('for two')
    for (const client of [one, two]) {
      client.webSocket.close()
      await client.closed
      expect(client.messages.drain()).toEqual([])
    }
  })
})

describe('under a base path', () => {
  let live: WitnessedServer
  beforeAll(async () => {
    live = await startWitnessed(database, { basePath: '/live' })
  })
  afterAll(() => live?.close())

  it('every path is there, and none outside it', async () => {
    expect(live.url).toBe(`http://localhost:${live.port}/live`)
    const root = `http://localhost:${live.port}`
    const client = await openWebSocket(root, '/live/listen/people')
    await database.query(`select pg_notify('people', 'under /live')`)
    expect(await client.messages.next()).toBe('under /live')
    client.webSocket.close()
    await client.closed
    for (const path of ['/live/', '/live/healthz', '/live/graphql?query={channels}']) {
      expect((await send(root, { path })).status).toBe(200)
    }
    expect(await send(root, { path: '/live' })).toMatchObject({
      status: 308,
      headers: { location: '/live/' },
    })
    for (const path of ['/', '/listen/people', '/graphql', '/livelisten/people', '/healthz', '/live/live/']) {
      expect((await send(root, { path })).status).toBe(404)
      await expect(openWebSocket(root, path)).rejects.toThrow('404')
    }
    await live.expectHealthy() // every transport, under its URL
  })
})

describe('with a certificate', () => {
  let folder: string
  let secure: WitnessedServer
  let ca: Buffer
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenql-tls-'))
    const { cert: tlsCert, key: tlsKey } = await makeCertificate(folder, 'localhost')
    ca = await readFile(tlsCert)
    secure = await startWitnessed(database, { tlsCert, tlsKey, httpsPort: 0 })
  })
  afterAll(async () => {
    await secure?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('HTTPS serves the page, /listen and GraphQL, and HTTP keeps working', async () => {
    const { httpsUrl = '' } = secure
    expect(httpsUrl).toMatch(/^https:\/\/localhost:\d+$/)
    const page = await new Promise<string>((resolve, reject) => {
      get(`${httpsUrl}/`, { ca, agent: false }, response => {
        let text = ''
        response.on('data', chunk => {
          text += chunk
        })
        response.on('end', () => resolve(`${response.statusCode} ${text}`))
      }).on('error', reject)
    })
    expect(page).toMatch(/^200 <!doctype html>/i)

    const listener = await openWebSocket(httpsUrl, '/listen/secure', [], { ca, origin: httpsUrl })
    const results = new Inbox<unknown>()
    class Trusting extends WebSocket {
      constructor(address: string, protocols: string) {
        super(address, protocols, { ca })
      }
    }
    const client = createClient({
      url: `${httpsUrl.replace('http', 'ws')}/graphql`,
      webSocketImpl: Trusting,
      retryAttempts: 0,
      on: { ping: (received, payload) => received && payload && results.push('accepted') },
    })
    client.subscribe(
      { query: channelQuery('secure') },
      { next: results.push, error: results.push, complete: () => undefined },
    )
    expect(await results.next('acceptance')).toBe('accepted')
    const plain = await TRANSPORTS['/listen'](secure.url, 'secure')
    await database.query(`select pg_notify('secure', 'over TLS')`)
    expect(await listener.messages.next()).toBe('over TLS')
    expect(await results.next()).toEqual({ data: { channel: { payload: 'over TLS' } } })
    expect(await plain.results.next()).toEqual({ payload: 'over TLS' })
    await client.dispose()
    await plain.close()
    listener.webSocket.close()
    await listener.closed
    await secure.expectHealthy()
    await secure.expectNothingLeft()
  })

  it('a connection that is not TLS affects no other connection', async () => {
    const connection = await openConnection(secure.httpsUrl ?? '')
    connection.socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await connection.closed
    await secure.expectHealthy()
  })
})
