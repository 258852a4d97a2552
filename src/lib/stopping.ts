import { ListenqlError } from './errors.js'

/**
 * The reason with which a part of the server aborts its work when it closes. What waits for that work rejects with it, and it may reach
 * a client; any other reason would count as a fault of the server.
 */
export function stopping(): ListenqlError {
  return new ListenqlError('DATABASE_FAILED', 'the server is stopping', { hint: 'try again' })
}
