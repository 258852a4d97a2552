import type { Settings } from '../../config/index.js'
import { otlpEndpoint } from '../../telemetry/metrics/otlp.js'
import { isLoopback } from '../../transport/bind.js'

/** Where metrics and status can be read. */
export interface Exposure {
  /** Whether the port of clients serves them. */
  readonly servesMetrics: boolean
  /** Whether anything can read them. If not, the server leaves out measurements that cost time. */
  readonly isInspected: boolean
}

/** @param hasRoles whether viewers have roles: they must not see the names of all tables */
export function exposureOf(
  { metricsPort, host, urlBase, trustProxy }: Settings,
  hasRoles: boolean,
): Exposure {
  // A proxy on this machine may pass on requests of the network.
  const isPrivate = isLoopback(host) && urlBase === undefined && trustProxy.length === 0
  const servesMetrics = metricsPort === undefined && isPrivate && !hasRoles
  return {
    servesMetrics,
    isInspected: servesMetrics || metricsPort !== undefined || otlpEndpoint() !== undefined,
  }
}
