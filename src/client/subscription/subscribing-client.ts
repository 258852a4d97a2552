import type { ResumingSink } from './resuming-sink.js'
import type { ResultError } from './subscription-error.js'

/** The part of a client of `createClient` that feeds and stores need. */
export interface SubscribingClient {
  /** As that of graphql-ws; the sink may have more. */
  subscribe<Data, Extensions>(
    payload: SubscriptionPayload,
    sink: ResumingSink<SubscriptionResult<Data, Extensions>>,
  ): () => void
}

/** A subscription as a request. */
export interface SubscriptionPayload {
  /** The document. */
  readonly query: string
  /** Values of its variables. */
  readonly variables?: Record<string, unknown>
  /** Which operation of the document, if it has several. */
  readonly operationName?: string
  /** What the server should know beside the operation. */
  readonly extensions?: Record<string, unknown>
}

/** One result of a subscription. */
export interface SubscriptionResult<Data, Extensions = unknown> {
  /** Null if an error replaces it; absent where the server only tells something in `extensions`. */
  readonly data?: Data | null
  /** What could not be delivered. */
  readonly errors?: readonly ResultError[]
  /** The position, as `cursor`. */
  readonly extensions?: Extensions
}
