import { basePath, baseUrl, checkGlob, checkOrigin } from './checks.js'
import {
  boolean,
  bytes,
  choice,
  diskBytes,
  duration,
  list,
  period,
  port,
  text,
  type ValueType,
} from './value-type.js'

export type OptionGroup = 'Database' | 'Watched tables' | 'Server' | 'Access' | 'Limits' | 'Timing' | 'Log'

/**
 * One option. Its flag, LISTENQL_* variable and TOML key follow from its key in the table: `maxBuffer` is `--max-buffer`,
 * `LISTENQL_MAX_BUFFER` and `MaxBuffer`.
 */
export interface Option<T> {
  readonly group: OptionGroup
  readonly type: ValueType<NonNullable<T>>
  readonly default: T
  /** What holds if the default is undefined, in words. */
  readonly otherwise?: string
  /** For the example file, if there is no default to show. */
  readonly example?: T
  /** One line. */
  readonly help: string
  readonly short?: string
  /** The variable that many programs use for this; LISTENQL_* is more specific and wins. */
  readonly usualVariable?: string
  /** pg_eventserv's key, which is the TOML key then; ES_* of it is read too. */
  readonly eventserv?: string
  /** Holds passwords: never shown. */
  readonly secret?: boolean
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

const globs = list('GLOBS', checkGlob)
const SECOND = 1000
const HOUR = 3600 * SECOND
const MiB = 2 ** 20

/** Every option there is. Flags, variables, TOML keys, `Settings`, checks, help and docs/configuration.md come from here. */
export const OPTIONS = {
  databaseUrl: optional({
    group: 'Database',
    type: text('URL'),
    otherwise: 'the PG* variables if any is set, else a Postgres of its own',
    example: 'postgres://user:password@localhost:5432/mydb',
    help: 'Database to serve: postgres://user:password@host:5432/database, or host=… dbname=…',
    usualVariable: 'DATABASE_URL',
    eventserv: 'DbConnection',
    secret: true,
  }),
  dataDir: optional({
    group: 'Database',
    type: text('DIRECTORY'),
    otherwise: '.listenql in the current directory',
    example: '.listenql',
    help: 'Where the Postgres of its own keeps its data; setting it asks for that Postgres, whatever PG* say',
  }),

  retention: option({
    group: 'Watched tables',
    type: period,
    default: 24 * HOUR,
    help: 'How long events are kept at least: a client that was away for longer reads a snapshot again',
  }),
  maxLogSize: optional({
    group: 'Watched tables',
    type: diskBytes,
    otherwise: 'no limit',
    example: 1024 * MiB,
    help: 'Size of the event log above which its oldest events go, however young; the log of the server warns',
  }),
  doorbell: option({
    group: 'Watched tables',
    type: choice(['bell', 'poll']),
    default: 'bell',
    help: 'How the server learns of events: bell sleeps until NOTIFY wakes it, poll looks at the log all the time',
  }),
  poll: option({
    group: 'Watched tables',
    type: duration,
    default: 5,
    help: 'Between two looks at the event log while the server is awake (with poll, always)',
  }),
  quiet: option({
    group: 'Watched tables',
    type: duration,
    default: 250,
    help: 'Time without events after which the server sleeps until the bell rings',
  }),
  safety: option({
    group: 'Watched tables',
    type: duration,
    default: 2 * SECOND,
    help: 'Between two looks at the event log while the server sleeps: nothing rests on the bell alone',
  }),
  catalogInterval: option({
    group: 'Watched tables',
    type: duration,
    default: SECOND,
    help: 'Between two looks for tables that were watched, unwatched or altered',
  }),
  queryTimeout: option({
    group: 'Watched tables',
    type: duration,
    default: 30 * SECOND,
    help: 'Longest time that a snapshot of a table may take',
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
    help: 'Port for HTTP and WebSocket; 0 takes any free one',
    usualVariable: 'PORT',
    eventserv: 'HttpPort',
  }),
  httpsPort: option({
    group: 'Server',
    type: port,
    default: 7701,
    help: 'Port for HTTPS, open if a certificate and a key are given; 0 takes any free one',
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
    help: 'URL under which clients reach the server, if a proxy stands before it',
    eventserv: 'UrlBase',
  }),
  basePath: option({
    group: 'Server',
    type: text('PATH', basePath),
    default: '/',
    help: 'Path that all URLs of the server begin with',
    eventserv: 'BasePath',
  }),
  graphiql: option({
    group: 'Server',
    type: boolean,
    default: true,
    help: 'Show GraphiQL to browsers that open /graphql',
  }),

  channels: option({
    group: 'Access',
    type: globs,
    default: ['*'],
    help: 'Channels that may be listened to',
    eventserv: 'Channels',
  }),
  publish: option({
    group: 'Access',
    type: globs,
    default: [],
    help: 'Channels on which the mutation notify may send; with the Postgres of its own, none given means all',
  }),
  corsOrigins: option({
    group: 'Access',
    type: list('ORIGINS', checkOrigin),
    default: [],
    help: 'Web origins beside its own that may use the server from a browser, as globs; * is any',
    eventserv: 'CORSOrigins',
  }),

  maxBuffer: option({
    group: 'Limits',
    type: bytes,
    default: 16 * MiB,
    help: 'What may wait for one connection, behind the frame being sent, before it is cut off',
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
    help: 'Largest request body or WebSocket message that is taken from a client',
  }),

  stallTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND,
    help: 'A connection is cut off if nothing moves for so long while something waits for it',
  }),
  keepAlive: option({
    group: 'Timing',
    type: duration,
    default: 12 * SECOND,
    help: 'Between two signs of life on a WebSocket or an event stream',
  }),
  heartbeat: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND,
    help: 'Between two checks that the LISTEN connection is alive',
  }),
  connectTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND,
    help: 'Longest wait for the database to take a connection',
  }),
  reconnectMax: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND,
    help: 'Longest pause between two attempts to reach the database again',
  }),
  shutdownTimeout: option({
    group: 'Timing',
    type: duration,
    default: 10 * SECOND,
    help: 'Longest time that stopping may take',
  }),

  logLevel: option({
    group: 'Log',
    type: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
    default: 'info',
    help: 'Least severity that is logged',
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
    help: 'The same as log level debug; unexpected errors show where they came from',
    short: 'd',
    eventserv: 'Debug',
  }),
} as const

export type OptionKey = keyof typeof OPTIONS

/** The value of every option: durations in ms, sizes in bytes. */
export type Settings = {
  readonly [K in OptionKey]: (typeof OPTIONS)[K] extends Option<infer T> ? T : never
}

/** Keys of pg_eventserv that mean nothing here, and why; they are accepted with a warning. */
export const WITHOUT_MEANING: Readonly<Record<string, string>> = {
  AssetsPath: 'the page comes with the program',
  DbPoolMaxConns: 'one connection listens, and few others are needed',
  DbPoolMaxConnLifeTime: 'the connection is kept for as long as it works',
}
