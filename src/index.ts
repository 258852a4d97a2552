// Types of Node are part of these: a project without them (`types: []`, or TypeScript 6 on) gets them from here.
/// <reference types="node" preserve="true" />

export type { Authenticate, Authenticated } from './auth/authenticated.js'
export type { Handshake } from './auth/credentials.js'
export type { Settings } from './config/index.js'
export { type ErrorCode, ListenqlError } from './lib/errors.js'
export type { CutReason, Observation, Observe } from './lib/observation.js'
export {
  type BoundedPubSub,
  type BoundedPubSubOptions,
  createBoundedPubSub,
  type PubSubTopics,
} from './pubsub/bounded-pubsub.js'
export type { Serializer } from './pubsub/event-payload.js'
export { createPostgresEventTarget, type PostgresEventTarget } from './pubsub/event-target.js'
export type { PostgresConnection, PostgresEventTargetOptions } from './pubsub/options.js'
export { createServer, type ListenqlServer, type ServerOptions } from './server/create-server.js'
export type { ServerStatus } from './server/server-status.js'
