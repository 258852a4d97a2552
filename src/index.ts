// Types of Node are part of these: a project that lists none (`types: []`, TypeScript 6 on) gets them from here.
/// <reference types="node" preserve="true" />
export { createServer, type ListenqlServer, type ServerOptions } from './app.js'
export type { Authenticate, Authenticated } from './auth/authenticated.js'
export type { Handshake } from './auth/credentials.js'
export type { Settings } from './config/index.js'
export {
  type BoundedPubSub,
  type BoundedPubSubOptions,
  createBoundedPubSub,
  type PubSubTopics,
} from './events/bounded-pubsub.js'
export type { Serializer } from './events/event-payload.js'
export type { PostgresConnection, PostgresEventTargetOptions } from './events/event-target-options.js'
export { createPostgresEventTarget, type PostgresEventTarget } from './events/postgres-event-target.js'
export { type ErrorCode, ListenqlError } from './lib/errors.js'
export type { CutReason, Observation, Observe } from './lib/observation.js'
