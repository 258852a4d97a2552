import { SubscriptionError } from '../../src/client/subscription/subscription-error.js'
import { graphqlUrl } from './endpoint.js'

/** The code of a failure without an answer: the server cannot be reached. */
export const AWAY = 'AWAY'

/** Sends queries and mutations over HTTP. */
export type Ask = <Data>(query: string, variables?: Readonly<Record<string, unknown>>) => Promise<Data>

/**
 * @param token goes into the header Authorization
 * @returns a function whose promise rejects with a SubscriptionError, of the code AWAY if there is no answer
 */
export function createAsk(token: string | undefined): Ask {
  return async <Data>(query: string, variables?: Readonly<Record<string, unknown>>) => {
    let result: { readonly data?: Data | null; readonly errors?: readonly unknown[] }
    try {
      const response = await fetch(graphqlUrl(), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(token && { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ query, ...(variables && { variables }) }),
        cache: 'no-store',
      })
      result = await response.json()
    } catch {
      throw new SubscriptionError([{ message: 'The server cannot be reached.', extensions: { code: AWAY } }])
    }
    if (result.data == null)
      throw new SubscriptionError(result.errors ?? [{ message: 'The server sent no data.' }])
    return result.data
  }
}
