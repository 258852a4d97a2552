import type { ExecutionArgs, ExecutionResult, GraphQLError } from 'graphql'
import type { Viewer } from '../auth/viewer.js'
import type { SubscriptionRequest } from '../delivery/subscription.js'
import type { TransactionFrames } from '../delivery/transaction-ends.js'
import type { OperationSummary } from '../lib/observation.js'
import type { Position } from '../log/position.js'
import type { DocumentNames } from './documents/document-names.js'

/*
 * What passes between a transport and the engine: the params of a request come in, and an operation that the transport runs or
 * subscribes to, or the errors that prevent it, come out.
 */

/** Where a request comes from. */
export interface Origin {
  readonly transport: string
  readonly remote: string
}

/** A GraphQL request from any transport. */
export interface Params extends DocumentNames {
  readonly viewer: Viewer
  readonly query?: string | undefined
  readonly operationName?: string | undefined
  readonly variables?: Record<string, unknown> | undefined
  /** For observations. Undefined: the request is not observed. */
  readonly origin?: Origin | undefined
  /** A position that the client remembers by itself. It takes precedence over `extensions` and the argument. */
  readonly lastEventId?: string | undefined
}

/** A request with the text of its document, however its client named it. */
export type TextParams = Params & { readonly query: string }

/** A request that has been parsed and validated. */
export type Prepared = Invalid | Operation

export interface Invalid {
  readonly kind: 'invalid'
  readonly errors: readonly GraphQLError[]
  /** Set if the request is well-formed, and may be valid in another schema. */
  readonly mayFit?: 'subscription' | 'other' | undefined
  /** The request may be valid, but the database is down. */
  readonly isUnavailable?: boolean
}

export type Operation =
  | { readonly kind: 'query' | 'mutation'; readonly args: ExecutionArgs; run(): Promise<ExecutionResult> }
  | {
      readonly kind: 'subscription'
      readonly args: ExecutionArgs
      /** @returns the group to join, or the result with the errors that prevent it */
      subscribe(): Promise<Subscription | ExecutionResult>
    }

/** The group that a subscription joins, and its start. */
export interface Subscription {
  readonly request: SubscriptionRequest<unknown>
  /** Default: events from now on. */
  readonly after: Position | undefined
  /** See SubscriberOptions. */
  readonly transactions?: TransactionFrames | undefined
  /** For observations. */
  readonly operation?: OperationSummary | undefined
}
