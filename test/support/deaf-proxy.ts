import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/**
 * A TCP proxy in front of Postgres that passes all messages and, while it is deaf, swallows notifications, as a pooler in
 * transaction mode does to an idle client.
 */
export interface DeafProxy {
  readonly port: number
  /** Number of notifications that were swallowed so far. */
  readonly swallowed: number
  setDeaf(isDeaf: boolean): void
  close(): Promise<void>
}

const NOTIFICATION = 'A'.charCodeAt(0)

export async function startDeafProxy(target: { host: string; port: number }): Promise<DeafProxy> {
  const sockets = new Set<Socket>()
  let isDeaf = false
  let swallowed = 0
  const server = createServer(client => {
    const upstream = connect(target)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    client.pipe(upstream)
    let rest = Buffer.alloc(0)
    upstream.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      const passed: Buffer[] = []
      // A message: type, length of the rest (including the length itself), content. Tests connect without TLS.
      for (;;) {
        const end = rest.length < 5 ? Number.POSITIVE_INFINITY : 1 + rest.readUInt32BE(1)
        if (rest.length < end) break
        const message = rest.subarray(0, end)
        rest = rest.subarray(end)
        if (isDeaf && message[0] === NOTIFICATION) swallowed++
        else passed.push(message)
      }
      client.write(Buffer.concat(passed))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    get swallowed() {
      return swallowed
    },
    setDeaf(now) {
      isDeaf = now
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
