import type { Settings } from '../../config/index.js'
import { isLoopback } from '../../transport/bind.js'
import { createOrigins, type Origins } from '../../transport/limits/origins.js'
import type { PrepareReload } from './reload.js'

/** The origins that may use a server, by its settings. */
export interface ReloadingOrigins extends Origins {
  readonly prepare: PrepareReload
}

export function createReloadingOrigins(
  settings: Pick<Settings, 'corsOrigins' | 'host' | 'urlBase'>,
): ReloadingOrigins {
  const read = ({ corsOrigins, host, urlBase }: typeof settings) =>
    createOrigins({ allowed: corsOrigins, loopback: isLoopback(host), urlBase })
  let present = read(settings)
  return {
    isHostAllowed: request => present.isHostAllowed(request),
    isOriginAllowed: request => present.isOriginAllowed(request),
    isOriginTrusted: request => present.isOriginTrusted(request),
    prepare(next) {
      const origins = read(next)
      return () => {
        present = origins
      }
    },
  }
}
