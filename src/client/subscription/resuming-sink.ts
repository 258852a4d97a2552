import type { Sink } from 'graphql-ws/client'

/** A sink of `subscribe` that can also learn about the connection. */
export interface ResumingSink<Result> extends Sink<Result> {
  /** Called each time the server has accepted the subscription: at first, and after each reconnection, when it resumes. */
  accepted?(): void
  /** Called each time the connection is lost, or could not be made. The client tries again, unless `error` follows. */
  interrupted?(): void
}
