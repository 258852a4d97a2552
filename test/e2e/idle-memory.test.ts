import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../src/index.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'

// The clients are in a thread of their own, so that the heap of this one is that of the server.

/**
 * What one idle subscription, with its connection, may hold. It was more than twice as much when each connection had closures, timers
 * and options of its own. About half of it is the socket and what ws or Node keep for it.
 */
const MOST_BYTES = { 'graphql-ws': 8000, sse: 11_000 } as const
type Transport = keyof typeof MOST_BYTES
const FIRST = 100
const MEASURED = 300

const CLIENTS = `
  const { get } = require('node:http')
  const { parentPort, workerData: url } = require('node:worker_threads')
  const { WebSocket } = require('ws')
  const query = 'subscription { channel(name: "idle") { payload } }'
  const subscribe = {
    'graphql-ws': () => new Promise((resolve, reject) => {
      const socket = new WebSocket(url.replace('http', 'ws') + '/graphql', 'graphql-transport-ws')
      socket.on('error', reject)
      socket.on('open', () => socket.send('{"type":"connection_init"}'))
      socket.on('message', data => {
        const { type } = JSON.parse(String(data))
        if (type === 'connection_ack') socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }))
        if (type === 'ping') resolve() // it is accepted
      })
    }),
    sse: () => new Promise((resolve, reject) => {
      const headers = { accept: 'text/event-stream' }
      get(url + '/graphql?query=' + encodeURIComponent(query), { agent: false, headers }, response => {
        response.on('data', resolve)
      }).on('error', reject)
    }),
  }
  parentPort.on('message', async ({ transport, count }) => {
    for (let i = 0; i < count; i++) await subscribe[transport]()
    parentPort.postMessage('connected')
  })
`

let database: TestDatabase
let server: ListenqlServer
let clients: Worker
beforeAll(async () => {
  database = await createTestDatabase()
  server = await createServer({
    databaseUrl: database.url,
    port: 0,
    logLevel: 'silent',
    maxConnectionsPerAddress: 1000,
  })
  clients = new Worker(CLIENTS, { eval: true, workerData: server.url })
})
afterAll(async () => {
  await clients?.terminate()
  await server?.close()
  await database?.close()
})

it.each(['graphql-ws', 'sse'] as const)(
  'an idle subscription over %s holds few objects in the server',
  async transport => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const connect = async (transport: Transport, count: number) => {
      clients.postMessage({ transport, count })
      await once(clients, 'message')
      for (let i = 0; i < 3; i++) {
        await new Promise(resolve => setImmediate(resolve)) // what finalizers have freed is collected the next time
        collect()
      }
      return process.memoryUsage().heapUsed
    }
    // The first ones also pay for compiled code.
    const before = await connect(transport, FIRST)
    const after = await connect(transport, MEASURED)
    expect((after - before) / MEASURED).toBeLessThan(MOST_BYTES[transport])
  },
)
