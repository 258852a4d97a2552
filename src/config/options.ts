import {
  basePath,
  baseUrl,
  checkChannelPattern,
  checkNetwork,
  checkOrigin,
  cookieName,
  httpUrl,
} from './checks.js'
import { bytes, diskBytes, duration, period } from './quantity-types.js'
import { boolean, choice, count, list, port, table, text, type ValueType } from './value-type.js'

export type OptionGroup =
  | 'Database'
  | 'Watched tables'
  | 'Server'
  | 'Access'
  | 'Viewers'
  | 'Limits'
  | 'Timing'
  | 'Log'

/**
 * One option. Its flag, LISTENQL_* variable and TOML key follow from its key in the table: `maxBuffer` is `--max-buffer`,
 * `LISTENQL_MAX_BUFFER` and `MaxBuffer`.
 */
export interface Option<T> {
  readonly group: OptionGroup
  readonly type: ValueType<NonNullable<T>>
  readonly default: T
  /** Describes what applies if the default is undefined. */
  readonly otherwise?: string
  /** For the example file, if there is no default to show. */
  readonly example?: T
  /** One line. */
  readonly help: string
  readonly short?: string
  /** The variable that many programs use for this; LISTENQL_* is more specific and takes precedence. */
  readonly usualVariable?: string
  /** pg_eventserv's key. It is the TOML key, too, and its ES_* variable is read. */
  readonly eventserv?: string
  /** Contains passwords, which are never shown; `all`: it is a secret itself, and not shown at all. */
  readonly secret?: boolean | 'all'
}

function option<T>(
  spec: Omit<Option<T>, 'type' | 'default'> & { type: ValueType<T>; default: NoInfer<T> },
): Option<T> {
  return spec as Option<T>
}

function optional<T>(
  spec: Omit<Option<T>, 'type' | 'default' | 'otherwise' | 'example'> & {
    type: ValueType<T>
    otherwise: string
    example: NoInfer<T>
  },
): Option<T | undefined> {
  return { ...spec, type: spec.type as ValueType<NonNullable<T>>, default: undefined }
}

const globs = list('GLOBS', checkChannelPattern)
const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const KiB = 2 ** 10
const MiB = 2 ** 20

/** All options. Flags, variables, TOML keys, `Settings`, checks, help and docs/configuration.md are derived from this table. */
export const OPTIONS = {
  databaseUrl: optional({
    group: 'Database',
    type: text('URL'),
    otherwise: 'the PG* variables if any is set, else the embedded Postgres',
    example: 'postgres://user:password@localhost:5432/mydb',
    help: 'Database to serve: postgres://user:password@host:5432/database, or host=… dbname=…',
    usualVariable: 'DATABASE_URL',
    eventserv: 'DbConnection',
    secret: true,
  }),
  exitOnError: option({
    group: 'Database',
    type: boolean,
    default: false,
    help: 'Exit with an error if, at the start, the database cannot be reached or the role of viewers without a token cannot be used; otherwise the server waits for both',
  }),
  dataDir: optional({
    group: 'Database',
    type: text('DIRECTORY'),
    otherwise: '.listenql in the current directory',
    example: '.listenql',
    help: 'Data directory of the embedded Postgres; setting it selects the embedded Postgres even if PG* variables are set',
  }),

  retention: option({
    group: 'Watched tables',
    type: period,
    default: 24 * HOUR_MS,
    help: 'Minimum time that events are kept: a client that was offline for longer reads a snapshot again',
  }),
  maxLogSize: optional({
    group: 'Watched tables',
    type: diskBytes,
    otherwise: 'no limit',
    example: 1024 * MiB,
    help: 'Size of the event log above which its oldest events are cleared, however young; the server logs a warning then',
  }),
  doorbell: option({
    group: 'Watched tables',
    type: choice(['bell', 'poll']),
    default: 'bell',
    help: 'How the server learns of events: with bell it waits for a NOTIFY, with poll it reads the log all the time',
  }),
  poll: option({
    group: 'Watched tables',
    type: duration,
    default: 5,
    help: 'Interval at which the server reads the event log while it is awake (with poll, always)',
  }),
  quiet: option({
    group: 'Watched tables',
    type: duration,
    default: 250,
    help: 'Time without events after which the server stops polling and waits for the bell',
  }),
  safety: option({
    group: 'Watched tables',
    type: duration,
    default: 2 * SECOND_MS,
    help: 'Interval at which the server reads the event log while it waits for the bell, so that a lost NOTIFY does no harm',
  }),
  catalogInterval: option({
    group: 'Watched tables',
    type: duration,
    default: SECOND_MS,
    help: 'Interval of the checks for tables that were watched, unwatched or altered',
  }),
  queryTimeout: option({
    group: 'Watched tables',
    type: duration,
    default: 30 * SECOND_MS,
    help: 'Longest time that a snapshot of a table may take',
  }),
  policyTimeout: option({
    group: 'Watched tables',
    type: duration,
    default: 250,
    help: 'Longest time that the row-level security of a table may take for one viewer and 500 rows; if it takes longer, the streams of that viewer end',
  }),

  host: option({
    group: 'Server',
    type: text('HOST'),
    default: 'localhost',
    help: 'Address to listen on; localhost is this machine only (127.0.0.1 and ::1), 0.0.0.0 the network',
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
    help: 'Port for HTTPS, open if a certificate and a key are given; 0 selects any free port',
    eventserv: 'HttpsPort',
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
    otherwise: 'true; false once viewers have roles',
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

  channels: optional({
    group: 'Access',
    type: globs,
    otherwise: '*; none once viewers have roles',
    example: ['people', 'room:*'],
    help: `Channels that all viewers may listen to, whatever their role; may contain \${claims.NAME}`,
    eventserv: 'Channels',
  }),
  publish: option({
    group: 'Access',
    type: globs,
    default: [],
    help: 'Channels on which all viewers may send with the mutation notify; with the embedded Postgres, all channels if none are given, unless viewers have roles',
  }),
  roleChannels: option({
    group: 'Access',
    type: table('ROLE=GLOBS;…', checkChannelPattern),
    default: {},
    example: { user: ['people', `room:\${claims.room}`, `user.\${claims.sub}.*`] },
    help: 'Channels that viewers of a role may listen to, in addition to --channels',
  }),
  rolePublish: option({
    group: 'Access',
    type: table('ROLE=GLOBS;…', checkChannelPattern),
    default: {},
    example: { user: [`room:\${claims.room}`] },
    help: 'Channels on which viewers of a role may send, in addition to --publish',
  }),
  corsOrigins: option({
    group: 'Access',
    type: list('ORIGINS', checkOrigin),
    default: [],
    help: 'Web origins that may use the server from a browser, in addition to its own, as globs; * is any',
    eventserv: 'CORSOrigins',
  }),

  jwtSecret: optional({
    group: 'Viewers',
    type: text('SECRET'),
    otherwise: 'no such tokens',
    example: 'at-least-32-bytes-that-are-hard-to-guess',
    help: 'Secret of tokens signed with HS256, HS384 or HS512; a variable or a file is safer than a flag, which other users of the machine can see',
    secret: 'all',
  }),
  jwtSecretFile: optional({
    group: 'Viewers',
    type: text('FILE'),
    otherwise: 'none',
    example: '/run/secrets/jwt',
    help: 'File with the secret, instead of --jwt-secret',
  }),
  jwtPublicKey: optional({
    group: 'Viewers',
    type: text('PEM|FILE'),
    otherwise: 'no such tokens',
    example: 'issuer.pem',
    help: 'Public key (PEM or JWK, or a file with it) of tokens signed with RS, PS, ES or EdDSA',
    secret: 'all', // it may be a private key by mistake
  }),
  jwksUrl: optional({
    group: 'Viewers',
    type: text('URL', httpUrl),
    otherwise: 'no such tokens',
    example: 'https://auth.example.com/.well-known/jwks.json',
    help: 'URL of the public keys of the issuer of tokens; they are fetched again regularly',
    secret: 'all', // its query may contain a password
  }),
  jwtIssuer: optional({
    group: 'Viewers',
    type: text('ISSUER'),
    otherwise: 'any',
    example: 'https://auth.example.com/',
    help: 'Required value of the claim iss of a token',
  }),
  jwtAudience: option({
    group: 'Viewers',
    type: list('AUDIENCES', () => undefined),
    default: [],
    example: ['my-app'],
    help: 'The claim aud of a token must contain one of these; if none are given, it is not checked',
  }),
  jwtClockTolerance: option({
    group: 'Viewers',
    type: duration,
    default: 5 * SECOND_MS,
    help: 'How far the clock of the issuer of tokens may be off',
  }),
  roleClaim: option({
    group: 'Viewers',
    type: text('CLAIM'),
    default: 'role',
    help: 'Claim with the Postgres role of the viewer; dots lead into objects, as in app_metadata.role',
  }),
  anonymousRole: optional({
    group: 'Viewers',
    type: text('ROLE'),
    otherwise: 'viewers without a token are refused',
    example: 'anon',
    help: 'Postgres role of viewers without a token',
  }),
  roles: option({
    group: 'Viewers',
    type: list('ROLES', () => undefined),
    default: [],
    example: ['anon', 'authenticated'],
    help: 'Roles that viewers may use; if none are given: those that the login of the server is a member of, except its own, superusers and roles with BYPASSRLS, which must be listed',
  }),
  tokenCookie: optional({
    group: 'Viewers',
    type: text('NAME', cookieName),
    otherwise: 'cookies are ignored',
    example: 'session',
    help: 'Cookie that may hold the token, in requests from pages of an allowed origin',
  }),
  kickRetention: option({
    group: 'Viewers',
    type: period,
    default: 30 * 24 * HOUR_MS,
    help: 'How long a kick is remembered; must be longer than the lifetime of any token',
  }),

  maxBuffer: option({
    group: 'Limits',
    type: bytes,
    default: 16 * MiB,
    help: 'Bytes that may wait for one connection, after the frame being sent, before it is cut off',
  }),
  maxEvent: option({
    group: 'Limits',
    type: bytes,
    default: 8 * MiB,
    help: 'Largest event that is delivered; a larger one arrives as error EVENT_TOO_LARGE',
  }),
  maxMessage: option({
    group: 'Limits',
    type: bytes,
    default: MiB,
    help: 'Largest request body or WebSocket message that is accepted from a client',
  }),
  maxHeaders: option({
    group: 'Limits',
    type: bytes,
    default: 16 * KiB,
    help: 'Largest head of a request, including the URL',
  }),
  maxUrl: option({
    group: 'Limits',
    type: bytes,
    default: 8 * KiB,
    help: 'Longest URL of a request',
  }),
  headersTimeout: option({
    group: 'Limits',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest time that a client may take to send the head of a request',
  }),
  requestTimeout: option({
    group: 'Limits',
    type: duration,
    default: 60 * SECOND_MS,
    help: 'Longest time that a client may take to send a whole request',
  }),
  idleTimeout: option({
    group: 'Limits',
    type: duration,
    default: 75 * SECOND_MS,
    help: 'How long an HTTP connection stays open after a request, for the next one; must be longer than a proxy or balancer keeps it',
  }),
  connectionInitTimeout: option({
    group: 'Limits',
    type: duration,
    default: 3 * SECOND_MS,
    help: 'Longest time from the opening of a WebSocket of graphql-ws to its connection_init',
  }),
  maxConnections: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Most connections of all clients together; further ones are refused with 503',
  }),
  maxClientMemory: optional({
    group: 'Limits',
    type: bytes,
    otherwise: 'half of the heap that Node may use',
    example: 512 * MiB,
    help: 'Most memory for all clients together: their requests, documents and variables, and the events that wait for them',
  }),
  maxConnectionsPerAddress: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most connections from one address (from one /64 network of IPv6)',
  }),
  maxConnectionsPerViewer: option({
    group: 'Limits',
    type: count,
    default: 100,
    help: 'Most WebSockets and streams of one viewer, if viewers have roles; a viewer is one claim sub, or equal claims',
  }),
  maxSubscriptionsPerConnection: option({
    group: 'Limits',
    type: count,
    default: 200,
    help: 'Most subscriptions and operations in progress on one WebSocket',
  }),
  maxSubscriptionsPerViewer: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most subscriptions of one viewer, if viewers have roles',
  }),
  subscribeRate: option({
    group: 'Limits',
    type: count,
    default: 50,
    help: 'Most operations per second, on average, that one WebSocket may start; at once as many as it may have subscriptions',
  }),
  maxDocument: option({
    group: 'Limits',
    type: bytes,
    default: 128 * KiB,
    help: 'Longest GraphQL document',
  }),
  maxTokens: option({
    group: 'Limits',
    type: count,
    default: 5000,
    help: 'Most tokens (words and signs) of a GraphQL document',
  }),
  maxDepth: option({
    group: 'Limits',
    type: count,
    default: 20,
    help: 'Deepest nesting of the fields of a GraphQL document, fragments counted where they are used',
  }),
  maxAliases: option({
    group: 'Limits',
    type: count,
    default: 50,
    help: 'Most aliases in a GraphQL operation, fragments counted where they are used',
  }),
  maxFilterDepth: option({
    group: 'Limits',
    type: count,
    default: 8,
    help: 'Deepest nesting of and, or and not in a filter',
  }),
  maxFilterConditions: option({
    group: 'Limits',
    type: count,
    default: 200,
    help: 'Most conditions in a filter, and most columns to sort by',
  }),
  maxFilterValues: option({
    group: 'Limits',
    type: count,
    default: 1000,
    help: 'Most values in all in and notIn of a filter together',
  }),
  maxFilterText: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Longest text that a filter compares with, in characters',
  }),
  maxFilterWork: option({
    group: 'Limits',
    type: count,
    default: 2_000_000,
    help: 'Most steps that the filter of a subscription may take for one event: each condition is a step, and so are 8 characters that like searches',
  }),
  filterRate: option({
    group: 'Limits',
    type: count,
    default: 20_000_000,
    help: 'Most steps per second, on average, that the filters of one viewer may take; at once twice as many',
  }),
  maxRows: option({
    group: 'Limits',
    type: count,
    default: 10_000,
    help: 'Most rows of one snapshot',
  }),
  maxSnapshot: option({
    group: 'Limits',
    type: bytes,
    default: 64 * MiB,
    help: 'Most bytes of the rows of one snapshot, as JSON',
  }),

  stallTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'A connection is cut off if data waits for it and it makes no progress for this time',
  }),
  keepAlive: option({
    group: 'Timing',
    type: duration,
    default: 12 * SECOND_MS,
    help: 'Interval of pings on a WebSocket and of keep-alives on an event stream',
  }),
  heartbeat: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Interval of the checks that the LISTEN connection is alive',
  }),
  connectTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest wait for the database to accept a connection',
  }),
  reconnectMax: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest pause between two attempts to reconnect to the database',
  }),
  shutdownTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND_MS,
    help: 'Longest time that stopping may take',
  }),

  logLevel: option({
    group: 'Log',
    type: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
    default: 'info',
    help: 'Minimum severity that is logged',
    usualVariable: 'LOG_LEVEL',
  }),
  logFormat: option({
    group: 'Log',
    type: choice(['auto', 'text', 'json']),
    default: 'auto',
    help: 'auto is text on a terminal and JSON elsewhere',
  }),
  debug: option({
    group: 'Log',
    type: boolean,
    default: false,
    help: 'The same as log level debug; unexpected errors show their origin',
    short: 'd',
    eventserv: 'Debug',
  }),
} as const

export type OptionKey = keyof typeof OPTIONS

/** The value of every option: durations in ms, sizes in bytes. */
export type Settings = {
  readonly [K in OptionKey]: (typeof OPTIONS)[K] extends Option<infer T> ? T : never
}

/** Keys of pg_eventserv without effect, with the reason; they are accepted with a warning. */
export const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  AssetsPath: 'the page is part of the program',
  DbPoolMaxConns: 'one connection listens, and only a few others are needed',
  DbPoolMaxConnLifeTime: 'the connection is kept for as long as it works',
}
