export { type DatabaseChoice, databaseOf } from './database.js'
export { type LoadedSettings, type LoadOptions, loadSettings } from './load.js'
export type { OptionKey, Settings } from './options.js'
export { resolveSettings } from './settings.js'
