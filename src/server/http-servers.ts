import { readFileSync } from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Settings } from '../config/index.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import { applyTimeouts, assertTlsFiles, bind, type TlsFiles, useTlsFiles } from '../transport/bind.js'
import { refuseMalformed } from '../transport/http/refuse-malformed.js'
import type { AddressLimits } from '../transport/limits/address-limits.js'
import type { Router } from '../transport/router.js'
import { ignoreUpgrade } from '../transport/ws/ignore-upgrade.js'
import type { PrepareReload } from './reload/reload.js'

export interface HttpServersOptions {
  /** A reload changes some of them. */
  readonly settings: Settings
  /** Path prefix of all routes: empty, or with a leading and no trailing slash. */
  readonly prefix: string
  readonly router: Router
  readonly addressLimits: AddressLimits
  /** Answers the requests of the metrics port. */
  readonly onInspection: RequestListener
  /** Whether metrics are served on the port of clients if they have no port of their own. */
  readonly servesMetrics: boolean
}

/** The HTTP server of a listenql server, and the HTTPS server if a certificate is configured. */
export interface HttpServers {
  /**
   * Starts to accept clients.
   * @throws ListenqlError PORT_IN_USE, BAD_CONFIGURATION
   */
  listen(): Promise<HttpAddresses>
  /** Reads the certificate again. It and the time limits apply to connections that are opened later. */
  readonly prepare: PrepareReload
  /**
   * Accepts no more connections, and resolves once all have ended.
   * @param endStreams called when no more connections are accepted; idle connections are closed after it
   * @param patience connections that are still open after this many ms are dropped
   */
  close(endStreams: () => void, patience: number): Promise<void>
}

export interface HttpAddresses {
  /** The server's URL, without a trailing slash. */
  readonly url: string
  readonly port: number
  readonly httpsUrl: string | undefined
  /** Where `/metrics` and `/status` are, without a trailing slash. Undefined: nowhere. */
  readonly metricsUrl: string | undefined
}

export function createHttpServers({
  settings,
  prefix,
  router,
  addressLimits,
  onInspection,
  servesMetrics,
}: HttpServersOptions): HttpServers {
  const { host } = settings
  const servers: Server[] = []
  const secured: HttpsServer[] = []

  function prepare(server: Server): void {
    addressLimits.watch(server)
    refuseMalformed(server)
    server.on('upgrade', (request, socket, head) => {
      if (request.headers.upgrade?.toLowerCase() === 'websocket') router.onUpgrade(request, socket, head)
      else ignoreUpgrade(server, request, socket, head)
    })
  }

  async function open(port: number, tls?: TlsFiles): Promise<number> {
    const target = { host, port, limits: settings, ...(tls && { tls }) }
    const bound = await bind(target, prepare, router.onRequest)
    servers.push(...bound.servers)
    if (tls) secured.push(...(bound.servers as HttpsServer[]))
    return bound.port
  }

  /** @returns undefined: metrics have no port of their own */
  async function openMetrics(): Promise<number | undefined> {
    const { metricsPort } = settings
    if (metricsPort === undefined) return undefined
    const target = { host, port: metricsPort, limits: settings, flag: '--metrics-port' }
    const bound = await bind(target, refuseMalformed, onInspection)
    servers.push(...bound.servers)
    return bound.port
  }

  return {
    async listen() {
      const port = await open(settings.port)
      const tls = readTls(settings)
      const httpsPort = tls && (await open(settings.httpsPort, tls))
      const metricsPort = (await openMetrics()) ?? (servesMetrics ? port : undefined)
      const name = nameOf(host)
      return {
        url: publicUrl(settings.urlBase, prefix) ?? `http://${name}:${port}${prefix}`,
        port,
        metricsUrl:
          metricsPort === undefined
            ? undefined
            : `http://${name}:${metricsPort}${metricsPort === port ? prefix : ''}`,
        httpsUrl: httpsPort === undefined ? undefined : `https://${name}:${httpsPort}${prefix}`,
      }
    },
    prepare(next) {
      const tls = secured.length > 0 ? readTls(next) : undefined
      if (tls) assertTlsFiles(tls)
      return () => {
        for (const server of servers) applyTimeouts(server, next)
        for (const server of secured) if (tls) useTlsFiles(server, tls)
      }
    },
    async close(endStreams, patience) {
      const closed = servers.map(server => new Promise(resolve => server.close(resolve)))
      endStreams()
      for (const server of servers) server.closeIdleConnections()
      const timer = setTimeout(() => {
        for (const server of servers) server.closeAllConnections()
      }, patience)
      await Promise.all(closed)
      clearTimeout(timer)
    },
  }
}

/** The name by which this machine reaches a server that is bound to `host`. */
function nameOf(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}

/** `--url-base` may end with the base path already. */
function publicUrl(urlBase: string | undefined, prefix: string): string | undefined {
  const base = urlBase?.replace(/\/+$/, '')
  return base === undefined || base.endsWith(prefix) ? base : `${base}${prefix}`
}

function readTls({ tlsCert, tlsKey }: Settings): TlsFiles | undefined {
  return tlsCert && tlsKey ? { cert: readPem(tlsCert), key: readPem(tlsKey) } : undefined
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ListenqlError('BAD_CONFIGURATION', `cannot read the TLS file ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
