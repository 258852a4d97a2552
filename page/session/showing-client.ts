import type { ListenqlClient } from '../../src/client/create-client.js'
import { markNotShown } from './not-shown.js'

/** A client whose results say which values GraphQL could not show. */
export function showingClient(client: ListenqlClient): ListenqlClient {
  const subscribe: ListenqlClient['subscribe'] = <Data, Extensions>(
    ...[payload, sink]: Parameters<typeof client.subscribe<Data, Extensions>>
  ) =>
    client.subscribe<Data, Extensions>(payload, {
      ...sink,
      next: result => sink.next(markNotShown(result)),
    })
  return { ...client, subscribe }
}
