import { ListenqlError } from '../lib/errors.js'

/** One message for every invalid token, so that an attacker does not learn why it is invalid. `cause` goes to the log. */
export function badToken(cause: string): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'the token is not valid, or no longer valid', {
    hint: 'sign in again',
    cause,
  })
}

export function noToken(): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'this server requires a token', {
    hint: 'send "Authorization: Bearer …", or Authorization in the payload of connection_init',
  })
}

export function forbiddenRole(cause: string): ListenqlError {
  return new ListenqlError('FORBIDDEN', 'the role of this token may not be used here', {
    hint: "the server's log has the reason",
    cause,
  })
}

/** The token may be valid, but what is needed to verify it cannot be reached. */
export function unavailable(cause: string): ListenqlError {
  return new ListenqlError('AUTHENTICATION_UNAVAILABLE', 'tokens cannot be checked at the moment', {
    hint: 'try again',
    cause,
  })
}

/** Reasons why the server ends streams. */
export function tokenExpired(): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'Token expired', { hint: 'reconnect with a new token' })
}

export function sessionEnded(): ListenqlError {
  return new ListenqlError('UNAUTHENTICATED', 'Session ended', { hint: 'sign in again' })
}
