import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { waitUntil } from './wait.js'

/** A proxy in front of a server whose connections a test can cut. */
export interface CuttingProxy {
  readonly url: string
  /** Drops all connections, and accepts no new ones until `mend`. */
  cut(): Promise<void>
  mend(): Promise<void>
  /** New connections go to another server; those that exist stay where they are. */
  moveTo(target: string): void
  /** Resolves once this text has been passed to a client since the last `cut`. */
  until(text: string): Promise<void>
  close(): Promise<void>
}

export async function startCuttingProxy(first: string): Promise<CuttingProxy> {
  let target = first
  const sockets = new Set<Socket>()
  let passed = ''
  const server = createServer(near => {
    const far = connect(Number(new URL(target).port), '127.0.0.1')
    far.on('data', chunk => {
      passed += chunk
    })
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
  async function listen(port: number): Promise<number> {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as { port: number }).port
  }
  async function cut(): Promise<void> {
    if (!server.listening) return
    passed = ''
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.resetAndDestroy()
    await closed
  }
  const port = await listen(0)
  return {
    url: `http://127.0.0.1:${port}`,
    cut,
    mend: async () => void (await listen(port)),
    moveTo(next) {
      target = next
    },
    until: async text =>
      void (await waitUntil(() => passed.includes(text), `${JSON.stringify(text)} to pass`)),
    close: cut,
  }
}
