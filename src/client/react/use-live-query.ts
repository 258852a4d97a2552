import { type Document, textOf } from '../document.js'
import { liveQuery, type QueryContents } from '../query/live-query.js'
import { type HookOptions, type LiveResult, useLiveStore } from './use-live-store.js'

/** Options of `useLiveQuery`. */
export interface UseLiveQueryOptions<Variables> extends HookOptions {
  /** The variables of the document. */
  readonly variables?: Variables | undefined
}

const EMPTY = { data: undefined }

/**
 * The present result of a live query. Other variables replace the subscription; until their result is there, the present one stays, and
 * the state is `catching-up`.
 *
 * @param query as of `liveQuery`; nothing is subscribed while it is null or undefined
 * @throws TypeError if the document is not a subscription
 */
export function useLiveQuery<Data, Variables extends object = Record<string, unknown>>(
  query: Document<Data, Variables> | null | undefined,
  { client, variables }: UseLiveQueryOptions<Variables> = {},
): QueryContents<Data> & LiveResult {
  const text = query ? textOf(query) : undefined
  return useLiveStore<QueryContents<Data>>(
    {
      key: text === undefined ? undefined : JSON.stringify(['query', text, variables]),
      kind: text === undefined ? undefined : `query ${text}`,
      create: own => liveQuery<Data, Variables>(own, { query: text as string, variables }),
      empty: EMPTY,
    },
    client,
  )
}
