import type { IncomingMessage } from 'node:http'
import { LimitExceeded } from '../../lib/limits/limit-exceeded.js'
import type { Observe } from '../../lib/observation.js'
import type { AddressLimits, Closing } from '../limits/address-limits.js'
import type { ClientAddresses } from '../limits/client-address.js'
import type { Origins } from '../limits/origins.js'
import { RETRY, type Refusal, statusOf } from './reply.js'

export interface CheckOptions {
  readonly origins: Origins
  readonly addresses: ClientAddresses
  readonly addressLimits: AddressLimits
  readonly limits: {
    /** Longest URL of a request, in bytes. */
    readonly maxUrl: number
  }
  readonly observe: Observe
}

/**
 * What every request and every upgrade must pass before it is routed: the limits of its address and its URL, then the name that it
 * asks for and the page that it comes from.
 */
export interface Checks {
  /**
   * Comes before every other check, since it counts the request.
   * @param carrier closes when the request is over
   */
  limits(request: IncomingMessage, carrier: Closing): Refusal | undefined
  source(request: IncomingMessage): Refusal | undefined
  /** Observes a refusal. Refusals of an address that exceeds its limit are observed once. */
  note(transport: string, request: IncomingMessage, refusal: Refusal): void
}

export function createChecks({ origins, addresses, addressLimits, limits, observe }: CheckOptions): Checks {
  return {
    limits(request, carrier) {
      const { url = '' } = request
      const { maxUrl } = limits
      const excess = addressLimits.check(request, carrier)
      if (excess) return { status: statusOf(excess), message: `${excess.line}\n`, headers: RETRY, excess }
      if (url.length <= maxUrl) return undefined
      const tooLong = new LimitExceeded(
        'maxUrl',
        maxUrl,
        `The URL has more than ${maxUrl} bytes.`,
        'use POST',
      )
      return { status: 414, message: `${tooLong.line}\n`, excess: tooLong }
    },
    source(request) {
      if (!origins.isHostAllowed(request)) {
        return {
          status: 421,
          message: `this server does not answer to the name '${request.headers.host}'; see --host and --url-base, and have a proxy pass the name on (nginx: proxy_set_header Host $host)\n`,
        }
      }
      if (!origins.isOriginAllowed(request)) {
        return {
          status: 403,
          message: `pages of '${request.headers.origin}' may not use this server; see --cors-origins\n`,
        }
      }
      return undefined
    },
    note(transport, request, { status, message }) {
      if (status === 429 && !addressLimits.isNews(request)) return
      const remote = addresses.of(request)
      observe({ type: 'request.refused', transport, remote, status, message: message.trim() })
    },
  }
}
