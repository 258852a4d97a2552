import type { createServer as CreateServer, ServerOptions } from '../../../src/index.js'

/** The built server, started as in production. @returns its port */
export async function startListenql(url: string, options: ServerOptions): Promise<number> {
  const built = new URL('../../../dist/src/index.js', import.meta.url)
  const { createServer } = (await import(built.href)) as { createServer: typeof CreateServer }
  const settings = {
    databaseUrl: url,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'error',
    // All connections come from one address.
    maxConnectionsPerAddress: 1_000_000,
    maxConnectionsPerViewer: 1_000_000,
    maxSubscriptionsPerConnection: 1_000_000,
    maxSubscriptionsPerViewer: 1_000_000,
  } as const
  const server = await createServer({ ...settings, ...options })
  return server.port
}
