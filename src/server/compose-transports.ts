import type { Auth } from '../auth/index.js'
import type { Settings } from '../config/index.js'
import type { Engine } from '../graphql/engine.js'
import type { ClientErrors } from '../graphql/errors.js'
import type { ClientMemory } from '../lib/limits/client-memory.js'
import type { Observe } from '../lib/observation.js'
import { createAdmission } from '../transport/admission.js'
import type { Connections } from '../transport/connections.js'
import { createGraphiql } from '../transport/http/graphiql.js'
import { createGraphqlHttp } from '../transport/http/graphql-http.js'
import type { AnswerHealth } from '../transport/http/health.js'
import { createInspectionListener, forThisMachine, type Inspection } from '../transport/http/inspection.js'
import { createPage } from '../transport/http/page.js'
import { createStreamResponses } from '../transport/http/stream-response.js'
import { createAddressLimits } from '../transport/limits/address-limits.js'
import type { ClientAddresses } from '../transport/limits/client-address.js'
import type { Origins } from '../transport/limits/origins.js'
import { createRouter } from '../transport/router.js'
import { createGraphqlWs } from '../transport/ws/graphql-ws.js'
import { createListen } from '../transport/ws/listen.js'
import { createHttpServers, type HttpServers } from './http-servers.js'
import type { Sources } from './sources.js'

export interface TransportsOptions {
  readonly settings: Settings
  readonly auth: Auth
  readonly origins: Origins
  readonly addresses: ClientAddresses
  readonly memory: ClientMemory
  readonly connections: Connections
  readonly engine: Engine
  readonly log: Pick<Sources['log'], 'cursors'>
  readonly channels: Sources['channels']
  readonly toClientError: ClientErrors
  /** The document that GraphiQL begins with. Undefined: there is no GraphiQL. */
  readonly graphiqlExample: (() => string) | undefined
  readonly health: AnswerHealth
  /** With the messages of the database, for the port of metrics. */
  readonly operatorsHealth: AnswerHealth
  readonly inspection: Inspection
  /** Whether the port of clients serves metrics and status. */
  readonly servesMetrics: boolean
  /** False: HTTP connections end after their response. */
  readonly isServing: () => boolean
  readonly observe: Observe
}

/** Wires the protocols of clients to the engine and the connections, and the HTTP servers to them. */
export function composeTransports(options: TransportsOptions): HttpServers {
  const {
    settings,
    auth,
    origins,
    addresses,
    memory,
    connections,
    engine,
    log,
    channels,
    toClientError,
    graphiqlExample,
    health,
    operatorsHealth,
    inspection,
    servesMetrics,
    isServing,
    observe,
  } = options
  const { stallTimeout, basePath } = settings
  const prefix = basePath === '/' ? '' : basePath
  const admit = createAdmission({ authenticator: auth, toClientError, addresses, observe })
  const addressLimits = createAddressLimits(addresses, settings)
  const graphqlHttp = createGraphqlHttp({
    admit,
    engine,
    streams: createStreamResponses({ ...settings, connections, cursors: log.cursors, toClientError }),
    toClientError,
    graphiql: graphiqlExample && createGraphiql(graphiqlExample),
    addresses,
    memory,
    limits: settings,
    stallTimeout,
    observe,
  })
  const acceptGraphqlWs = createGraphqlWs({
    admit,
    engine,
    connections,
    cursors: log.cursors,
    memory,
    toClientError,
    keepAlive: settings.keepAlive,
    limits: settings,
    observe,
  })
  const listen = createListen({
    ...settings,
    ...{ admit, rules: auth.rules, channelSource: channels.source, connections, memory },
  })
  const router = createRouter({
    basePath: prefix,
    isBasePathOptional: settings.urlBase !== undefined,
    origins,
    page: createPage({ basePath: prefix }),
    graphqlHttp,
    acceptGraphqlWs,
    listen,
    health,
    keepsConnections: isServing,
    inspection: servesMetrics ? forThisMachine(inspection) : undefined,
    limits: settings,
    addresses,
    addressLimits,
    toClientError,
    observe,
  })
  return createHttpServers({
    ...{ settings, prefix, router, addressLimits, servesMetrics },
    onInspection: createInspectionListener({
      inspection,
      health: operatorsHealth,
      isHostAllowed: origins.isHostAllowed,
    }),
  })
}
