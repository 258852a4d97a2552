export { applyChange, type RowChange } from './apply-change.js'
export { type ClientOptions, createClient } from './create-client.js'
