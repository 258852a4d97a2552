import { lookup } from 'node:dns/promises'
import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import { ListenqlError, messageOf } from '../lib/errors.js'

/** True if only this machine can reach a server that is bound to `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

export interface ListenTarget {
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  /** With them the server uses HTTPS. */
  readonly tls?: TlsFiles
  readonly limits: RequestLimits
  /** The option that sets the port, for the hint of an error. Default: `--port`. */
  readonly flag?: string
}

/** A certificate with its chain, and its key, as PEM. */
export interface TlsFiles {
  readonly cert: string | Buffer
  readonly key: string | Buffer
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
  const timeouts = timeoutsOf(limits)
  const { headersTimeout } = timeouts
  const options: ServerOptions = {
    ...timeouts,
    maxHeaderSize: limits.maxHeaders,
    connectionsCheckingInterval: Math.min(5000, Math.ceil(headersTimeout / 4)),
  }
  if (!tls) return createHttpServer(options, onRequest)
  assertTlsFiles(tls)
  return createHttpsServer({ ...options, ...secureOptions(tls), handshakeTimeout: headersTimeout }, onRequest)
}

const secureOptions = ({ cert, key }: TlsFiles) => ({ cert, key, minVersion: 'TLSv1.2' as const })

/** @throws ListenqlError BAD_CONFIGURATION if the certificate and the key are unusable, or do not belong together */
export function assertTlsFiles(tls: TlsFiles): void {
  try {
    createSecureContext(secureOptions(tls))
  } catch (error) {
    throw new ListenqlError(
      'BAD_CONFIGURATION',
      `the TLS certificate and key do not work: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** Has later connections use another certificate. */
export function useTlsFiles(server: HttpsServer, tls: TlsFiles): void {
  server.setSecureContext(secureOptions(tls))
}

function timeoutsOf(limits: RequestLimits) {
  return {
    headersTimeout: Math.min(limits.headersTimeout, limits.requestTimeout),
    requestTimeout: limits.requestTimeout,
    // A balancer that sends a request while this server closes the connection answers 502, so the balancer has to close first.
    keepAliveTimeout: limits.idleTimeout,
  }
}

/** Has later requests use other time limits. */
export function applyTimeouts(server: Server, limits: RequestLimits): void {
  Object.assign(server, timeoutsOf(limits))
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

function explain(error: unknown, { host, port, flag = '--port' }: ListenTarget): unknown {
  if (error instanceof ListenqlError) return error
  if (hasCode(error, 'EADDRINUSE')) {
    return new ListenqlError('PORT_IN_USE', `port ${port} on ${host} is in use`, {
      hint: `is another listenql running? Stop it, or choose another port: ${flag} ${port + 1}`,
      cause: error,
    })
  }
  return new ListenqlError(
    'BAD_CONFIGURATION',
    `cannot listen on ${host} port ${port}: ${messageOf(error)}`,
    {
      hint: `choose another --host or ${flag}`,
      cause: error,
    },
  )
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
