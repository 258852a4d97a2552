export { createServer, type ListenqlServer, type ServerOptions } from './app.js'
export type { Settings } from './config/index.js'
export { type ErrorCode, ListenqlError } from './lib/errors.js'
export type { CutReason, Observation, Observe } from './lib/observation.js'
