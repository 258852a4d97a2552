import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

/** A TCP proxy that can fall silent: connections stay open and no data passes, as when a machine loses its power. */
export interface SilentProxy {
  readonly port: number
  goSilent(): void
  /** Passes data again on new connections; the silent connections stay silent. */
  recover(): void
  close(): Promise<void>
}

export async function startSilentProxy(target: { host: string; port: number }): Promise<SilentProxy> {
  const sockets = new Set<Socket>()
  const open = new Set<() => void>()
  let silent = false
  const server = createServer(client => {
    const upstream = connect(target)
    sockets.add(client).add(upstream)
    client.on('error', () => undefined)
    upstream.on('error', () => undefined)
    if (silent) return
    client.pipe(upstream).pipe(client)
    open.add(() => {
      client.unpipe()
      upstream.unpipe()
      client.pause()
      upstream.pause()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    goSilent() {
      silent = true
      for (const silence of open) silence()
      open.clear()
    },
    recover() {
      silent = false
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
