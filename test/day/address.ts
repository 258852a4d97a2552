import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** The address of a database, which leads to the primary, as that of a hosted Postgres or of a virtual IP does. */
export interface Address {
  readonly port: number
  /** Drops all connections, and refuses new ones until `lead`. */
  cut(): Promise<void>
  /** Leads to this port of the machine from now on. */
  lead(port: number): Promise<void>
  close(): Promise<void>
}

export async function startAddress(first: number): Promise<Address> {
  let target = first
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, near => {
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.pipe(other)
      one.on('error', () => undefined)
      one.once('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  async function listen(on: number): Promise<number> {
    server.listen(on, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  async function cut(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.resetAndDestroy()
    await closed
  }
  const port = await listen(0)
  return {
    port,
    cut,
    async lead(next) {
      target = next
      if (!server.listening) await listen(port)
    },
    close: cut,
  }
}
