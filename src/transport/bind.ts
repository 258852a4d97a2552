import { lookup } from 'node:dns/promises'
import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { ListenqlError, messageOf } from '../lib/errors.js'

/** True if only this machine can reach a server that is bound to `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

export interface ListenTarget {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  /** PEM texts; with them the server uses HTTPS. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer }
  readonly limits: RequestLimits
}

/** See the options of the same names: bytes and ms. */
export interface RequestLimits {
  readonly maxHeaders: number
  readonly headersTimeout: number
  readonly requestTimeout: number
  readonly idleTimeout: number
}

/**
 * Binds one server to each address of a host: `localhost` is 127.0.0.1 and ::1, and clients try either first.
 * @throws ListenqlError PORT_IN_USE, BAD_CONFIGURATION
 */
export async function bind(
  target: ListenTarget,
  prepare: (server: Server) => void,
  onRequest: RequestListener,
): Promise<{ servers: Server[]; port: number }> {
  const addresses = await addressesOf(target.host)
  const servers: Server[] = []
  let { port } = target
  for (const address of addresses) {
    const server = create(target, onRequest)
    prepare(server)
    try {
      port = await listen(server, address, port)
      servers.push(server)
    } catch (error) {
      // A machine may have no IPv6; one address is enough.
      const absent = hasCode(error, 'EADDRNOTAVAIL') || hasCode(error, 'EAFNOSUPPORT')
      if (absent && (servers.length > 0 || address !== addresses.at(-1))) continue
      for (const open of servers) open.close()
      throw explain(error, target)
    }
  }
  return { servers, port }
}

async function addressesOf(host: string): Promise<string[]> {
  if (host === 'localhost') return ['127.0.0.1', '::1']
  try {
    return [(await lookup(host)).address]
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `the host '${host}' is not an address of this machine`, {
      hint: 'use --host 127.0.0.1 for this machine only, or --host 0.0.0.0 for the network',
      cause: error,
    })
  }
}

function create({ tls, limits }: ListenTarget, onRequest: RequestListener): Server {
  const headersTimeout = Math.min(limits.headersTimeout, limits.requestTimeout)
  const options: ServerOptions = {
    maxHeaderSize: limits.maxHeaders,
    headersTimeout,
    requestTimeout: limits.requestTimeout,
    // A balancer that sends a request while this server closes the connection answers 502, so the balancer has to close first.
    keepAliveTimeout: limits.idleTimeout,
    connectionsCheckingInterval: Math.min(5000, Math.ceil(headersTimeout / 4)),
  }
  if (!tls) return createHttpServer(options, onRequest)
  try {
    const { cert, key } = tls
    const handshakeTimeout = headersTimeout
    return createHttpsServer({ ...options, cert, key, minVersion: 'TLSv1.2', handshakeTimeout }, onRequest)
  } catch (error) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `the TLS certificate and key do not work: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

function listen(server: Server, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function explain(error: unknown, { host, port }: ListenTarget): unknown {
  if (error instanceof ListenqlError) return error
  if (hasCode(error, 'EADDRINUSE')) {
    return new ListenqlError('PORT_IN_USE', `port ${port} on ${host} is in use`, {
      hint: `is another listenql running? Stop it, or choose another port: --port ${port + 1}`,
      cause: error,
    })
  }
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `cannot listen on ${host} port ${port}: ${messageOf(error)}`,
    {
      hint: 'choose another --host or --port',
      cause: error,
    },
  )
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
