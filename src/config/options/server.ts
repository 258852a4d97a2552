import { basePath, baseUrl, checkNetwork } from '../checks.js'
import { boolean, list, port, text } from '../value-type.js'
import { option, optional } from './option.js'

/** Options of the group Server. */
export const serverOptions = {
  host: option({
    group: 'Server',
    type: text('HOST'),
    default: 'localhost',
    help: 'Address to listen on: localhost for this machine only (127.0.0.1 and ::1), 0.0.0.0 for the network',
    eventserv: 'HttpHost',
  }),
  port: option({
    group: 'Server',
    type: port,
    default: 7700,
    help: 'Port for HTTP and WebSocket; 0 selects any free port',
    usualVariable: 'PORT',
    eventserv: 'HttpPort',
  }),
  httpsPort: option({
    group: 'Server',
    type: port,
    default: 7701,
    help: 'Port for HTTPS, which is open if a certificate and a key are given; 0 selects any free port',
    eventserv: 'HttpsPort',
  }),
  metricsPort: optional({
    group: 'Server',
    type: port,
    otherwise:
      'the port of the server, if only this machine can reach it (--host), viewers have no roles and no proxy is configured (--url-base, --trust-proxy); otherwise none',
    example: 9464,
    help: 'Port for /metrics and /status, on the address of --host and without sign-in; 0 selects any free port',
  }),
  tlsCert: optional({
    group: 'Server',
    type: text('FILE'),
    otherwise: 'none, no HTTPS',
    example: 'server.crt',
    help: 'PEM file with the certificate for HTTPS and its chain',
    eventserv: 'TlsServerCertificateFile',
  }),
  tlsKey: optional({
    group: 'Server',
    type: text('FILE'),
    otherwise: 'none, no HTTPS',
    example: 'server.key',
    help: 'PEM file with the private key for HTTPS',
    eventserv: 'TlsServerPrivateKeyFile',
  }),
  urlBase: optional({
    group: 'Server',
    type: text('URL', baseUrl),
    otherwise: 'host and port',
    example: 'https://events.example.com',
    help: 'URL under which clients reach the server, if they reach it through a proxy',
    eventserv: 'UrlBase',
  }),
  basePath: option({
    group: 'Server',
    type: text('PATH', basePath),
    default: '/',
    help: 'Path prefix of all URLs of the server',
    eventserv: 'BasePath',
  }),
  trustProxy: option({
    group: 'Server',
    type: list('NETWORKS', checkNetwork),
    default: [],
    example: ['127.0.0.1', '10.0.0.0/8'],
    help: 'Addresses and networks of proxies whose X-Forwarded-For is trusted',
  }),
  graphiql: optional({
    group: 'Server',
    type: boolean,
    otherwise: 'true; false once viewers have roles, or with --trusted-documents-only',
    example: true,
    help: 'Show GraphiQL to browsers that open /graphql',
  }),
  introspection: optional({
    group: 'Server',
    type: boolean,
    otherwise: 'true; false once viewers have roles',
    example: true,
    help: 'Let clients read the whole schema; if false, errors suggest no names either',
  }),
} as const
