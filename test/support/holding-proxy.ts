import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A TCP proxy in front of Postgres that can hold back its answers, so that a statement stays in flight for as long as a test wants. */
export interface HoldingProxy {
  readonly port: number
  /** Holds back the answers on the connections that ask for something with this text, from now on. */
  hold(text: string): void
  /** Whether an answer is held back. */
  readonly isHolding: boolean
  /** Passes on what was held back. */
  release(): void
  close(): Promise<void>
}

export async function startHoldingProxy(target: { host: string; port: number }): Promise<HoldingProxy> {
  const sockets = new Set<Socket>()
  const held = new Set<Socket>()
  let sought: string | undefined
  const server = createServer(client => {
    const upstream = connect(target)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    client.on('data', chunk => {
      if (sought !== undefined && chunk.includes(sought)) {
        upstream.unpipe(client)
        upstream.pause()
        held.add(upstream.once('release', () => upstream.pipe(client)))
      }
      upstream.write(chunk)
    })
    upstream.pipe(client)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    hold(text) {
      sought = text
    },
    get isHolding() {
      return held.size > 0
    },
    release() {
      sought = undefined
      for (const socket of held) socket.emit('release')
      held.clear()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
