import type { GraphQLError } from 'graphql'
import type { Authenticator } from '../auth/authenticate.js'
import type { Handshake } from '../auth/credentials.js'
import type { Viewer } from '../auth/viewer.js'
import type { ClientErrors } from '../graphql/errors.js'
import { ListenqlError, logReason } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import type { ClientAddresses } from './limits/client-address.js'

/** Why a client is refused, as each protocol says it. */
export interface Refused {
  readonly error: GraphQLError
  /** The status of HTTP. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The close of a WebSocket: a graphql-ws client gives up on 4401 and reconnects on the others. */
  readonly close: { readonly code: number; readonly reason: string }
}

export type Admit = (handshake: Handshake) => Promise<Viewer | Refused>

/** Authenticates clients of every transport. */
export function createAdmission(options: {
  readonly authenticator: Authenticator
  readonly toClientError: ClientErrors
  readonly addresses: ClientAddresses
  readonly observe: Observe
}): Admit {
  const { authenticator, toClientError, addresses, observe } = options
  return async handshake => {
    try {
      return await authenticator.authenticate(handshake)
    } catch (error) {
      const known = error instanceof ListenqlError ? error : undefined
      if (known) {
        observe({
          type: 'viewer.refused',
          transport: handshake.transport,
          remote: addresses.of(handshake.request),
          code: known.code,
          reason: logReason(known),
        })
      }
      return { error: toClientError(error), ...answerTo(known) }
    }
  }
}

function answerTo(error: ListenqlError | undefined): Omit<Refused, 'error'> {
  switch (error?.code) {
    case 'UNAUTHENTICATED': {
      // https://www.rfc-editor.org/rfc/rfc6750#section-3: no error code for a request without a token.
      const problem = error.cause === undefined ? '' : ', error="invalid_token"'
      return {
        status: 401,
        headers: { 'www-authenticate': `Bearer realm="listenql"${problem}` },
        close: { code: 4401, reason: 'Unauthorized' },
      }
    }
    case 'FORBIDDEN':
      return { status: 403, headers: {}, close: { code: 4403, reason: 'Forbidden' } }
    case 'AUTHENTICATION_UNAVAILABLE':
      return {
        status: 503,
        headers: { 'retry-after': '1' },
        close: { code: 1013, reason: 'Tokens cannot be checked at the moment. Connect again.' },
      }
    default:
      return { status: 500, headers: {}, close: { code: 1011, reason: 'Internal server error' } }
  }
}

export function isRefused(admitted: Viewer | Refused): admitted is Refused {
  return 'error' in admitted
}
