import type { OptionKey } from './options.js'
import type { Settings } from './settings-interface.js'

/** The options that a running server takes over when it reloads; the others need a restart. */
export const RELOADABLE = [
  'tables',
  'unwatchOthers',
  'retention',
  'maxLogSize',
  'tlsCert',
  'tlsKey',
  'channels',
  'publish',
  'roleChannels',
  'rolePublish',
  'corsOrigins',
  'trustedDocuments',
  'jwtSecret',
  'jwtSecretFile',
  'jwtPublicKey',
  'jwksUrl',
  'jwtIssuer',
  'jwtAudience',
  'jwtClockTolerance',
  'maxBuffer',
  'maxEvent',
  'maxMessage',
  'headersTimeout',
  'requestTimeout',
  'idleTimeout',
  'connectionInitTimeout',
  'maxUrl',
  'maxConnections',
  'maxClientMemory',
  'maxConnectionsPerAddress',
  'maxConnectionsPerViewer',
  'maxSubscriptionsPerConnection',
  'maxSubscriptionsPerViewer',
  'subscribeRate',
  'maxDocument',
  'maxTokens',
  'maxDepth',
  'maxAliases',
  'maxFilterDepth',
  'maxFilterConditions',
  'maxFilterValues',
  'maxFilterText',
  'filterRate',
  'maxRows',
  'maxRelatedRows',
  'maxRelationDepth',
  'maxRelations',
  'maxLiveQueries',
  'maxLiveRows',
  'maxLiveResult',
  'maxSnapshot',
] as const satisfies readonly OptionKey[]

export type ReloadableKey = (typeof RELOADABLE)[number]

const IS_RELOADABLE: ReadonlySet<OptionKey> = new Set(RELOADABLE)

export function isReloadable(key: OptionKey): key is ReloadableKey {
  return IS_RELOADABLE.has(key)
}

/** The options whose values differ. */
export function changedOptions(before: Settings, after: Settings): OptionKey[] {
  const keys = Object.keys({ ...before, ...after }) as OptionKey[]
  return keys.filter(key => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
}
