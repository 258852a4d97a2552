import type { OptionValues } from './options.js'

// Made from options.ts by `npm run docs`. Do not edit it here.

/** The value of every option: durations in ms, sizes in bytes. */
export interface Settings {
  /** Database to serve: postgres://user:password@host:5432/database, or host=… dbname=…. Default: the PG* variables if any is set, else the embedded Postgres */
  readonly databaseUrl: OptionValues['databaseUrl']
  /** Exit with an error if, at the start, the database cannot be reached or the role of --anonymous-role cannot be used; without this option, the server keeps trying. Default: false */
  readonly exitOnError: OptionValues['exitOnError']
  /** Data directory of the embedded Postgres; setting it selects the embedded Postgres even if PG* variables are set. Default: .listenql in the current directory */
  readonly dataDir: OptionValues['dataDir']
  /** Tables that the server watches, those that exist when it starts and those that are created later: names as in SQL, also with globs; ! leaves tables out, and the last pattern that matches a table decides. Default: none */
  readonly tables: OptionValues['tables']
  /** When the server starts, stop watching tables that --tables does not name; without this option, they stay watched. Default: false */
  readonly unwatchOthers: OptionValues['unwatchOthers']
  /** Minimum time that events are kept: a client that was offline for longer reads a snapshot again. In ms. Default: 24h */
  readonly retention: OptionValues['retention']
  /** Size of the event log above which the server clears the oldest events, even those younger than --retention, and logs a warning. In bytes. Default: no limit */
  readonly maxLogSize: OptionValues['maxLogSize']
  /** How the server learns of events: bell waits for a NOTIFY, poll reads the event log all the time. Default: bell */
  readonly doorbell: OptionValues['doorbell']
  /** Interval at which the server reads the event log while it is awake (with --doorbell poll, always); up to twice that while most reads find events, up to 50 ms where another server leads. In ms. Default: 5ms */
  readonly poll: OptionValues['poll']
  /** Time without events after which the server stops polling and waits for the bell. In ms. Default: 250ms */
  readonly quiet: OptionValues['quiet']
  /** Interval at which the server reads the event log while it waits for the bell, so that a lost NOTIFY does no harm. In ms. Default: 2s */
  readonly safety: OptionValues['safety']
  /** Interval of the checks for tables that were watched, unwatched or altered. In ms. Default: 1s */
  readonly catalogInterval: OptionValues['catalogInterval']
  /** Longest time that a snapshot of a table may take. In ms. Default: 30s */
  readonly queryTimeout: OptionValues['queryTimeout']
  /** Longest time that reading a live query may take; beyond that, the live query ends. In ms. Default: 5s */
  readonly liveTimeout: OptionValues['liveTimeout']
  /** Interval at which live queries are read again whose row-level security depends on tables that are not watched, or on functions that do not show what they read. In ms. Default: they are refused */
  readonly liveRefresh: OptionValues['liveRefresh']
  /** Longest time that the row-level security of a table may take for one viewer and 500 rows; beyond that, the streams of that viewer end. In ms. Default: 250ms */
  readonly policyTimeout: OptionValues['policyTimeout']
  /** Address to listen on: localhost for this machine only (127.0.0.1 and ::1), 0.0.0.0 for the network. Default: localhost */
  readonly host: OptionValues['host']
  /** Port for HTTP and WebSocket; 0 selects any free port. Default: 7700 */
  readonly port: OptionValues['port']
  /** Port for HTTPS, which is open if a certificate and a key are given; 0 selects any free port. Default: 7701 */
  readonly httpsPort: OptionValues['httpsPort']
  /** Port for /metrics and /status, on the address of --host and without sign-in; 0 selects any free port. Default: the port of the server, if only this machine can reach it (--host), viewers have no roles and no proxy is configured (--url-base, --trust-proxy); otherwise none */
  readonly metricsPort: OptionValues['metricsPort']
  /** PEM file with the certificate for HTTPS and its chain. Default: none, no HTTPS */
  readonly tlsCert: OptionValues['tlsCert']
  /** PEM file with the private key for HTTPS. Default: none, no HTTPS */
  readonly tlsKey: OptionValues['tlsKey']
  /** URL under which clients reach the server, if they reach it through a proxy. Default: host and port */
  readonly urlBase: OptionValues['urlBase']
  /** Path prefix of all URLs of the server. Default: / */
  readonly basePath: OptionValues['basePath']
  /** Addresses and networks of proxies whose X-Forwarded-For is trusted. Default: none */
  readonly trustProxy: OptionValues['trustProxy']
  /** Show GraphiQL to browsers that open /graphql. Default: true; false once viewers have roles, or with --trusted-documents-only */
  readonly graphiql: OptionValues['graphiql']
  /** Let clients read the whole schema; if false, errors suggest no names either. Default: true; false once viewers have roles */
  readonly introspection: OptionValues['introspection']
  /** Channels that all viewers may listen to, whatever their role; may contain ${claims.NAME}. Default: *; none once viewers have roles */
  readonly channels: OptionValues['channels']
  /** Channels on which all viewers may publish with the mutation notify; with the embedded Postgres, the default is all channels while viewers have no roles. Default: none */
  readonly publish: OptionValues['publish']
  /** Channels that viewers of a role may listen to, in addition to --channels. Default: none */
  readonly roleChannels: OptionValues['roleChannels']
  /** Channels on which viewers of a role may publish, in addition to --publish. Default: none */
  readonly rolePublish: OptionValues['rolePublish']
  /** Web origins, as globs, that may use the server from a browser, in addition to its own origin; * allows all origins. Default: none */
  readonly corsOrigins: OptionValues['corsOrigins']
  /** JSON file with the documents of your applications by id, as GraphQL Code Generator and Relay write it; clients may send the id in place of the document, and the limits on documents do not apply to them. Default: none */
  readonly trustedDocuments: OptionValues['trustedDocuments']
  /** Refuse every document that is not in the file of --trusted-documents, including introspection and the documents of the page. Default: false */
  readonly trustedDocumentsOnly: OptionValues['trustedDocumentsOnly']
  /** Number of documents that the server remembers for clients that send a document once and then its hash (Apollo's automatic persisted queries). Default: none */
  readonly persistedQueries: OptionValues['persistedQueries']
  /** Secret of tokens signed with HS256, HS384 or HS512; set it by variable or file, because other users of the machine can see flags. Default: no such tokens */
  readonly jwtSecret: OptionValues['jwtSecret']
  /** File with the secret, instead of --jwt-secret. Default: none */
  readonly jwtSecretFile: OptionValues['jwtSecretFile']
  /** Public key (PEM or JWK, or a file with it) of tokens signed with RS, PS, ES or EdDSA. Default: no such tokens */
  readonly jwtPublicKey: OptionValues['jwtPublicKey']
  /** URL of the token issuer's public keys; the server fetches the keys again regularly. Default: no such tokens */
  readonly jwksUrl: OptionValues['jwksUrl']
  /** Required value of the claim iss of a token. Default: any */
  readonly jwtIssuer: OptionValues['jwtIssuer']
  /** The claim aud of a token must contain one of these audiences; if none are given, aud is not checked. Default: none */
  readonly jwtAudience: OptionValues['jwtAudience']
  /** Tolerated difference between the clocks of the token issuer and the server, when exp and nbf are checked. In ms. Default: 5s */
  readonly jwtClockTolerance: OptionValues['jwtClockTolerance']
  /** Claim with the Postgres role of the viewer; dots lead into objects, as in app_metadata.role. Default: role */
  readonly roleClaim: OptionValues['roleClaim']
  /** Postgres role of viewers without a token. Default: viewers without a token are refused */
  readonly anonymousRole: OptionValues['anonymousRole']
  /** Roles that viewers may use; if none are given, the roles that the server's login is a member of. The login's own role, superusers and roles with BYPASSRLS must always be listed. Default: none */
  readonly roles: OptionValues['roles']
  /** Name of a cookie that may contain the token, in requests from pages of an allowed origin. Default: cookies are ignored */
  readonly tokenCookie: OptionValues['tokenCookie']
  /** How long a kick is remembered; must be longer than the lifetime of any token. In ms. Default: 720h */
  readonly kickRetention: OptionValues['kickRetention']
  /** Most bytes that may wait for one connection, in addition to the frame that is being sent; beyond that, the connection is cut off. In bytes. Default: 16MiB */
  readonly maxBuffer: OptionValues['maxBuffer']
  /** Largest event that is delivered; the error EVENT_TOO_LARGE replaces a larger event. In bytes. Default: 8MiB */
  readonly maxEvent: OptionValues['maxEvent']
  /** Largest request body or WebSocket message that is accepted from a client. In bytes. Default: 1MiB */
  readonly maxMessage: OptionValues['maxMessage']
  /** Largest head of a request, including the URL. In bytes. Default: 16KiB */
  readonly maxHeaders: OptionValues['maxHeaders']
  /** Longest URL of a request. In bytes. Default: 8KiB */
  readonly maxUrl: OptionValues['maxUrl']
  /** Longest time that a client may take to send the head of a request. In ms. Default: 10s */
  readonly headersTimeout: OptionValues['headersTimeout']
  /** Longest time that a client may take to send a whole request. In ms. Default: 1m */
  readonly requestTimeout: OptionValues['requestTimeout']
  /** How long an HTTP connection stays open after a request, to receive the next request; must be longer than the idle timeout of a proxy or load balancer. In ms. Default: 75s */
  readonly idleTimeout: OptionValues['idleTimeout']
  /** Longest time that a graphql-ws client may take from the opening of its WebSocket to connection_init. In ms. Default: 3s */
  readonly connectionInitTimeout: OptionValues['connectionInitTimeout']
  /** Most connections of all clients together; further ones are refused with 503. Default: 10000 */
  readonly maxConnections: OptionValues['maxConnections']
  /** Most memory for all clients together: their requests, documents and variables, and the events that wait for them. In bytes. Default: half of the heap that Node may use */
  readonly maxClientMemory: OptionValues['maxClientMemory']
  /** Most connections from one address (from one /64 network of IPv6). Default: 1000 */
  readonly maxConnectionsPerAddress: OptionValues['maxConnectionsPerAddress']
  /** Most WebSockets and streams of one viewer, if viewers have roles; all clients with the same claim sub (without sub: with equal claims) are one viewer. Default: 100 */
  readonly maxConnectionsPerViewer: OptionValues['maxConnectionsPerViewer']
  /** Most subscriptions and operations in progress on one WebSocket. Default: 200 */
  readonly maxSubscriptionsPerConnection: OptionValues['maxSubscriptionsPerConnection']
  /** Most subscriptions of one viewer, if viewers have roles. Default: 1000 */
  readonly maxSubscriptionsPerViewer: OptionValues['maxSubscriptionsPerViewer']
  /** Most operations per second, on average, that one WebSocket may start; a burst may have --max-subscriptions-per-connection operations. Default: 50 */
  readonly subscribeRate: OptionValues['subscribeRate']
  /** Longest GraphQL document. In bytes. Default: 128KiB */
  readonly maxDocument: OptionValues['maxDocument']
  /** Most tokens (words and signs) of a GraphQL document. Default: 5000 */
  readonly maxTokens: OptionValues['maxTokens']
  /** Deepest nesting of the fields of a GraphQL document; the fields of a fragment count at each place that uses it. Default: 20 */
  readonly maxDepth: OptionValues['maxDepth']
  /** Most aliases in a GraphQL operation; the aliases of a fragment count at each place that uses it. Default: 50 */
  readonly maxAliases: OptionValues['maxAliases']
  /** Deepest nesting of and, or and not in a filter. Default: 8 */
  readonly maxFilterDepth: OptionValues['maxFilterDepth']
  /** Most conditions in a filter, and most columns to sort by. Default: 200 */
  readonly maxFilterConditions: OptionValues['maxFilterConditions']
  /** Most values in all lists of in and notIn of a filter together. Default: 1000 */
  readonly maxFilterValues: OptionValues['maxFilterValues']
  /** Longest text that a filter compares with, in characters. Default: 10000 */
  readonly maxFilterText: OptionValues['maxFilterText']
  /** Most steps that the filter of a subscription may take for one event; a step is one condition, or 8 characters that like searches. Default: 2000000 */
  readonly maxFilterWork: OptionValues['maxFilterWork']
  /** Most steps per second, on average, that the filters of one viewer may take; a burst may have twice as many steps. Default: 20000000 */
  readonly filterRate: OptionValues['filterRate']
  /** Most rows of one snapshot, linked rows included. Default: 10000 */
  readonly maxRows: OptionValues['maxRows']
  /** Most rows of one list of linked rows, and most groups of one aggregate. Default: 1000 */
  readonly maxRelatedRows: OptionValues['maxRelatedRows']
  /** Deepest nesting of relations in a query. Default: 6 */
  readonly maxRelationDepth: OptionValues['maxRelationDepth']
  /** Most relations, conditions on relations and groups in one field of a query. Default: 20 */
  readonly maxRelations: OptionValues['maxRelations']
  /** Most different live queries at the same time; clients with the same query share it. Default: 10000 */
  readonly maxLiveQueries: OptionValues['maxLiveQueries']
  /** Most rows of one list of a live query. Default: 1000 */
  readonly maxLiveRows: OptionValues['maxLiveRows']
  /** Most bytes of the rows of a live query, as JSON. In bytes. Default: 1MiB */
  readonly maxLiveResult: OptionValues['maxLiveResult']
  /** Most bytes of the rows of one snapshot, as JSON. In bytes. Default: 64MiB */
  readonly maxSnapshot: OptionValues['maxSnapshot']
  /** Longest time that a connection may make no progress while data waits for it; then the connection is cut off. In ms. Default: 10s */
  readonly stallTimeout: OptionValues['stallTimeout']
  /** Interval of pings on a WebSocket and of keep-alives on an event stream. In ms. Default: 12s */
  readonly keepAlive: OptionValues['keepAlive']
  /** Interval of the checks that the LISTEN connection is alive. In ms. Default: 10s */
  readonly heartbeat: OptionValues['heartbeat']
  /** Longest wait for the database to accept a connection. In ms. Default: 10s */
  readonly connectTimeout: OptionValues['connectTimeout']
  /** Longest pause between two attempts to reconnect to the database. In ms. Default: 10s */
  readonly reconnectMax: OptionValues['reconnectMax']
  /** Longest time that stopping may take. In ms. Default: 10s */
  readonly shutdownTimeout: OptionValues['shutdownTimeout']
  /** Time over which a stopping server ends the connections of its clients, one after the other, as a part of --shutdown-timeout; meanwhile /readyz is 503, and new clients are still served, since load balancers and Kubernetes send some for a few seconds more. In ms. Default: 0s */
  readonly drain: OptionValues['drain']
  /** Minimum severity that is logged. Default: info */
  readonly logLevel: OptionValues['logLevel']
  /** auto is text on a terminal and JSON elsewhere. Default: auto */
  readonly logFormat: OptionValues['logFormat']
  /** File to which a line of JSON is appended for each subscription, refusal, ended session and published message, - for standard output; SIGHUP opens it anew if the server has no terminal. Default: none */
  readonly auditLog: OptionValues['auditLog']
  /** The same as log level debug; unexpected errors show their origin. Default: false */
  readonly debug: OptionValues['debug']
}
