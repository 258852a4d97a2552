import { createServer } from 'node:net'

const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000

/**
 * A free port of 127.0.0.1: `preferred` if that is free. Otherwise it is below the range that systems use for outgoing connections,
 * which could take the port while Postgres restarts (a client that keeps trying to reach a closed port of that range can even
 * connect to itself).
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await canListen(preferred)) !== undefined) return preferred
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT))
    if ((await canListen(port)) !== undefined) return port
  }
  return (await canListen(0)) ?? 0
}

function canListen(port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined))
    })
  })
}
