import type { OptionValues } from './options.js'

// Made from options.ts by `npm run docs`. Do not edit it here.

/** The value of every option: durations in ms, sizes in bytes. */
export interface Settings {
  /** Database to serve: postgres://user:password@host:5432/database, or host=… dbname=…. Default: the PG* variables if any is set, else a Postgres of its own */
  readonly databaseUrl: OptionValues['databaseUrl']
  /** End with an error if the database cannot be reached at the start, or the role of viewers without a token cannot be taken; otherwise the server waits for both. Default: false */
  readonly exitOnError: OptionValues['exitOnError']
  /** Where the Postgres of its own keeps its data; setting it asks for that Postgres, whatever PG* say. Default: .listenql in the current directory */
  readonly dataDir: OptionValues['dataDir']
  /** How long events are kept at least: a client that was away for longer reads a snapshot again. In ms. Default: 24h */
  readonly retention: OptionValues['retention']
  /** Size of the event log above which its oldest events go, however young; the log of the server warns. In bytes. Default: no limit */
  readonly maxLogSize: OptionValues['maxLogSize']
  /** How the server learns of events: bell sleeps until NOTIFY wakes it, poll looks at the log all the time. Default: bell */
  readonly doorbell: OptionValues['doorbell']
  /** Between two looks at the event log while the server is awake (with poll, always). In ms. Default: 5ms */
  readonly poll: OptionValues['poll']
  /** Time without events after which the server sleeps until the bell rings. In ms. Default: 250ms */
  readonly quiet: OptionValues['quiet']
  /** Between two looks at the event log while the server sleeps: nothing rests on the bell alone. In ms. Default: 2s */
  readonly safety: OptionValues['safety']
  /** Between two looks for tables that were watched, unwatched or altered. In ms. Default: 1s */
  readonly catalogInterval: OptionValues['catalogInterval']
  /** Longest time that a snapshot of a table may take. In ms. Default: 30s */
  readonly queryTimeout: OptionValues['queryTimeout']
  /** Longest time that the row-level security of a table may take for one viewer and 500 rows; beyond it the streams of that viewer end. In ms. Default: 250ms */
  readonly policyTimeout: OptionValues['policyTimeout']
  /** Address to listen on; localhost is this machine only (127.0.0.1 and ::1), 0.0.0.0 the network. Default: localhost */
  readonly host: OptionValues['host']
  /** Port for HTTP and WebSocket; 0 takes any free one. Default: 7700 */
  readonly port: OptionValues['port']
  /** Port for HTTPS, open if a certificate and a key are given; 0 takes any free one. Default: 7701 */
  readonly httpsPort: OptionValues['httpsPort']
  /** PEM file with the certificate for HTTPS and its chain. Default: none, no HTTPS */
  readonly tlsCert: OptionValues['tlsCert']
  /** PEM file with the private key for HTTPS. Default: none, no HTTPS */
  readonly tlsKey: OptionValues['tlsKey']
  /** URL under which clients reach the server, if a proxy stands before it. Default: host and port */
  readonly urlBase: OptionValues['urlBase']
  /** Path that all URLs of the server begin with. Default: / */
  readonly basePath: OptionValues['basePath']
  /** Addresses and networks of proxies, of which X-Forwarded-For is believed. Default: none */
  readonly trustProxy: OptionValues['trustProxy']
  /** Show GraphiQL to browsers that open /graphql. Default: true; false once viewers have roles */
  readonly graphiql: OptionValues['graphiql']
  /** Let clients read the whole schema; without, errors suggest no names either. Default: true; false once viewers have roles */
  readonly introspection: OptionValues['introspection']
  /** Channels that everybody may listen to, whatever the role; may hold ${claims.NAME}. Default: *; none once viewers have roles */
  readonly channels: OptionValues['channels']
  /** Channels on which everybody may send with the mutation notify; with the Postgres of its own, none given means all, unless viewers have roles. Default: none */
  readonly publish: OptionValues['publish']
  /** Channels that viewers of a role may listen to, beside those for everybody. Default: none */
  readonly roleChannels: OptionValues['roleChannels']
  /** Channels on which viewers of a role may send. Default: none */
  readonly rolePublish: OptionValues['rolePublish']
  /** Web origins beside its own that may use the server from a browser, as globs; * is any. Default: none */
  readonly corsOrigins: OptionValues['corsOrigins']
  /** Secret that signs tokens with HS256, HS384 or HS512; better in a variable or a file than in a flag, which others on the machine can see. Default: no such tokens */
  readonly jwtSecret: OptionValues['jwtSecret']
  /** File that holds the secret, instead of --jwt-secret. Default: none */
  readonly jwtSecretFile: OptionValues['jwtSecretFile']
  /** Public key (PEM or JWK, or a file with it) of who signs tokens with RS, PS, ES or EdDSA. Default: no such tokens */
  readonly jwtPublicKey: OptionValues['jwtPublicKey']
  /** Where the public keys of who signs tokens are published, and changed from time to time. Default: no such tokens */
  readonly jwksUrl: OptionValues['jwksUrl']
  /** What the claim iss of a token must be. Default: any */
  readonly jwtIssuer: OptionValues['jwtIssuer']
  /** One of these must be among the claim aud of a token; none given: it is not looked at. Default: none */
  readonly jwtAudience: OptionValues['jwtAudience']
  /** How far the clock of who issues tokens may be off. In ms. Default: 5s */
  readonly jwtClockTolerance: OptionValues['jwtClockTolerance']
  /** Claim that names the Postgres role of the viewer; dots lead into objects, as in app_metadata.role. Default: role */
  readonly roleClaim: OptionValues['roleClaim']
  /** Postgres role of viewers without a token. Default: who brings no token is refused */
  readonly anonymousRole: OptionValues['anonymousRole']
  /** Roles that viewers may take; none given: those that the login of the server is a member of, but never its own, superusers and roles with BYPASSRLS, which must be listed. Default: none */
  readonly roles: OptionValues['roles']
  /** Cookie that may hold the token, from pages of an allowed origin. Default: cookies are not looked at */
  readonly tokenCookie: OptionValues['tokenCookie']
  /** How long a kick is remembered: longer than any token lives. In ms. Default: 720h */
  readonly kickRetention: OptionValues['kickRetention']
  /** What may wait for one connection, behind the frame being sent, before it is cut off. In bytes. Default: 16MiB */
  readonly maxBuffer: OptionValues['maxBuffer']
  /** Largest event that is delivered; a larger one arrives as error EVENT_TOO_LARGE. In bytes. Default: 8MiB */
  readonly maxEvent: OptionValues['maxEvent']
  /** Largest request body or WebSocket message that is taken from a client. In bytes. Default: 1MiB */
  readonly maxMessage: OptionValues['maxMessage']
  /** Largest head of a request, the URL with it. In bytes. Default: 16KiB */
  readonly maxHeaders: OptionValues['maxHeaders']
  /** Longest URL of a request. In bytes. Default: 8KiB */
  readonly maxUrl: OptionValues['maxUrl']
  /** Longest time that a client may take to send the head of a request. In ms. Default: 10s */
  readonly headersTimeout: OptionValues['headersTimeout']
  /** Longest time that a client may take to send a whole request. In ms. Default: 1m */
  readonly requestTimeout: OptionValues['requestTimeout']
  /** How long an HTTP connection stays open after a request, for the next one: longer than a proxy or balancer keeps it. In ms. Default: 75s */
  readonly idleTimeout: OptionValues['idleTimeout']
  /** Longest time from the opening of a WebSocket of graphql-ws to its connection_init. In ms. Default: 3s */
  readonly connectionInitTimeout: OptionValues['connectionInitTimeout']
  /** Most connections of all clients together; further ones are refused with 503. Default: 10000 */
  readonly maxConnections: OptionValues['maxConnections']
  /** Most that all clients together may take: their requests, documents and variables, and the events that wait for them. In bytes. Default: half of the heap that Node may use */
  readonly maxClientMemory: OptionValues['maxClientMemory']
  /** Most connections from one address (from one /64 network of IPv6). Default: 1000 */
  readonly maxConnectionsPerAddress: OptionValues['maxConnectionsPerAddress']
  /** Most WebSockets and streams of one viewer, once viewers have roles: of one claim sub, or of equal claims. Default: 100 */
  readonly maxConnectionsPerViewer: OptionValues['maxConnectionsPerViewer']
  /** Most subscriptions, and operations under way, on one WebSocket. Default: 200 */
  readonly maxSubscriptionsPerConnection: OptionValues['maxSubscriptionsPerConnection']
  /** Most subscriptions of one viewer, once viewers have roles. Default: 1000 */
  readonly maxSubscriptionsPerViewer: OptionValues['maxSubscriptionsPerViewer']
  /** Most operations that one WebSocket may begin each second on average; as many at once as it may have subscriptions. Default: 50 */
  readonly subscribeRate: OptionValues['subscribeRate']
  /** Longest GraphQL document. In bytes. Default: 128KiB */
  readonly maxDocument: OptionValues['maxDocument']
  /** Most tokens (words and signs) of a GraphQL document. Default: 5000 */
  readonly maxTokens: OptionValues['maxTokens']
  /** How deep the fields of a GraphQL document may be nested, fragments counted where they are used. Default: 20 */
  readonly maxDepth: OptionValues['maxDepth']
  /** Most aliases in a GraphQL operation, fragments counted where they are used. Default: 50 */
  readonly maxAliases: OptionValues['maxAliases']
  /** How deep and, or and not may be nested in a filter. Default: 8 */
  readonly maxFilterDepth: OptionValues['maxFilterDepth']
  /** Most conditions in a filter, and most columns to sort by. Default: 200 */
  readonly maxFilterConditions: OptionValues['maxFilterConditions']
  /** Most values of all in and notIn of a filter together. Default: 1000 */
  readonly maxFilterValues: OptionValues['maxFilterValues']
  /** Longest text that a filter compares with, in characters. Default: 10000 */
  readonly maxFilterText: OptionValues['maxFilterText']
  /** Most steps that the filter of a subscription may take for one event: a condition is one, and so are 8 characters that like looks through. Default: 2000000 */
  readonly maxFilterWork: OptionValues['maxFilterWork']
  /** Most steps that the filters of one viewer may take each second on average; twice as many at once. Default: 20000000 */
  readonly filterRate: OptionValues['filterRate']
  /** Most rows of one snapshot. Default: 10000 */
  readonly maxRows: OptionValues['maxRows']
  /** Most bytes of the rows of one snapshot, as JSON. In bytes. Default: 64MiB */
  readonly maxSnapshot: OptionValues['maxSnapshot']
  /** A connection is cut off if nothing moves for so long while something waits for it. In ms. Default: 10s */
  readonly stallTimeout: OptionValues['stallTimeout']
  /** Between two signs of life on a WebSocket or an event stream. In ms. Default: 12s */
  readonly keepAlive: OptionValues['keepAlive']
  /** Between two checks that the LISTEN connection is alive. In ms. Default: 10s */
  readonly heartbeat: OptionValues['heartbeat']
  /** Longest wait for the database to take a connection. In ms. Default: 10s */
  readonly connectTimeout: OptionValues['connectTimeout']
  /** Longest pause between two attempts to reach the database again. In ms. Default: 10s */
  readonly reconnectMax: OptionValues['reconnectMax']
  /** Longest time that stopping may take. In ms. Default: 10s */
  readonly shutdownTimeout: OptionValues['shutdownTimeout']
  /** Least severity that is logged. Default: info */
  readonly logLevel: OptionValues['logLevel']
  /** auto is text on a terminal and JSON elsewhere. Default: auto */
  readonly logFormat: OptionValues['logFormat']
  /** The same as log level debug; unexpected errors show where they came from. Default: false */
  readonly debug: OptionValues['debug']
}
