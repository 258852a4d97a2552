import { ListenqlError } from '../lib/errors.js'

/** One text for every token that will not do: whoever tries does not learn why. `cause` is for the log. */
export function badToken(cause: string): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'the token is not valid, or not valid any more', {
    hint: 'sign in again',
    cause,
  })
}

export function noToken(): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'this server wants a token', {
    hint: 'send "Authorization: Bearer …", or Authorization in the payload of connection_init',
  })
}

export function forbiddenRole(cause: string): ListenqlError {
  return new ListenqlError('FORBIDDEN', 'the role of this token may not be used here', { cause })
}

/** Nothing is wrong with the token, as far as is known: what it is checked against cannot be reached. */
export function unavailable(cause: string): ListenqlError {
  return new ListenqlError('AUTHENTICATION_UNAVAILABLE', 'tokens cannot be checked at the moment', {
    hint: 'try again',
    cause,
  })
}

/** Why streams end before their clients leave. */
export function tokenExpired(): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'Token expired', { hint: 'come back with a new token' })
}

export function sessionEnded(): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'Session ended', { hint: 'sign in again' })
}
