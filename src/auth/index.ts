import type pg from 'pg'
import { ListenqlError } from '../lib/errors.js'
import type { Observe } from '../lib/observation.js'
import { type Authenticator, createAuthenticator, NO_AUTHENTICATION } from './authenticate.js'
import type { Authenticate } from './authenticated.js'
import { type AccessRules, type ChannelPatterns, createAccessRules } from './channel-rules.js'
import { type ConfiguredRoles, createConfiguredRoles } from './configured-roles.js'
import type { CredentialsOptions } from './credentials.js'
import { createDatabaseClock } from './database-clock.js'
import { createKicks } from './kicks.js'
import { createRevocation } from './revocation.js'
import { createRoles } from './roles.js'
import { createSessions, type Sessions } from './sessions.js'
import { readKeyText, readSecretFile } from './token-keys.js'
import { createTokens, type Tokens } from './tokens.js'
import { createViewerQueries } from './viewer-queries.js'

/**
 * See the options of the same names in docs/configuration.md; durations in ms. A reload may change those of tokens and channels, after
 * `prepare`.
 */
export interface AuthSettings {
  readonly jwtSecret: string | undefined
  readonly jwtSecretFile: string | undefined
  readonly jwtPublicKey: string | undefined
  readonly jwksUrl: string | undefined
  readonly jwtIssuer: string | undefined
  readonly jwtAudience: readonly string[]
  readonly jwtClockTolerance: number
  readonly roleClaim: string
  readonly anonymousRole: string | undefined
  readonly roles: readonly string[]
  readonly tokenCookie: string | undefined
  readonly kickRetention: number
  readonly channels: readonly string[] | undefined
  readonly publish: readonly string[]
  readonly roleChannels: ChannelPatterns['roles']
  readonly rolePublish: ChannelPatterns['roles']
  readonly connectTimeout: number
}

export interface AuthOptions {
  readonly settings: AuthSettings
  /** Used instead of tokens. */
  readonly authenticate: Authenticate | undefined
  readonly config: pg.ClientConfig
  /** The database is the demo's: without authorisation, every client may publish. */
  readonly isDemo: boolean
  readonly trustsCookiesOf: CredentialsOptions['trustsCookiesOf']
  /** Time between two checks of kicks and roles, in ms. Default: 1 s. */
  readonly interval?: number
  readonly observe: Observe
}

/** Which clients may connect, for how long, and which channels they may use. */
export interface Auth extends Authenticator {
  /** Viewers have roles; otherwise everything is read as the server's login. */
  readonly isConfigured: boolean
  readonly rules: AccessRules
  readonly sessions: Sessions
  /** There may be a new kick: checks at once. */
  wake(): void
  /** The reason why viewers without a token are refused, once the database has been queried; undefined: they are not. */
  readonly anonymousProblem: ConfiguredRoles['anonymous']
  /**
   * Makes the rules and reads the keys of other settings.
   * @returns puts them into force: for viewers that connect, and for what open connections ask from then on
   * @throws ListenqlError BAD_CONFIGURATION
   */
  prepare(next: AuthSettings): () => void
  /** Whether any viewer could listen to any channel with these settings. */
  opensChannels(settings: AuthSettings): boolean
  start(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** One check in this many includes the roles that the configuration names. */
const ROLES_CHECK_EVERY = 10

/** Whether viewers have roles. */
export function isAuthConfigured(
  settings: Pick<AuthSettings, 'jwtSecret' | 'jwtSecretFile' | 'jwtPublicKey' | 'jwksUrl' | 'anonymousRole'>,
  authenticate: Authenticate | undefined,
): boolean {
  const { jwtSecret, jwtSecretFile, jwtPublicKey, jwksUrl, anonymousRole } = settings
  return [authenticate, jwtSecret, jwtSecretFile, jwtPublicKey, jwksUrl, anonymousRole].some(
    each => each !== undefined,
  )
}

/** @throws ListenqlError BAD_CONFIGURATION */
export function createAuth({ settings, authenticate, ...options }: AuthOptions): Auth {
  const isConfigured = isAuthConfigured(settings, authenticate)
  checkSettings(settings, isConfigured)
  const rulesOf = (from: AuthSettings): AccessRules => {
    const open = isConfigured ? [] : ['*'] // with roles, no channel is open unless the configuration opens it
    const publish = !isConfigured && options.isDemo && from.publish.length === 0 ? ['*'] : from.publish
    return createAccessRules(
      { everybody: from.channels ?? open, roles: from.roleChannels },
      { everybody: publish, roles: from.rolePublish },
    )
  }
  const readTokens = createTokensReader()
  let present = rulesOf(settings)
  let tokens = readTokens(settings)
  const rules: AccessRules = {
    get opensChannels() {
      return present.opensChannels
    },
    for: viewer => present.for(viewer),
    patternOf: channel => present.patternOf(channel),
  }
  const shared = {
    isConfigured,
    rules,
    opensChannels: (from: AuthSettings) => rulesOf(from).opensChannels,
    prepare(next: AuthSettings) {
      if (isAuthConfigured(next, authenticate) !== isConfigured)
        throw refusal(
          isConfigured ? 'no option identifies viewers any more' : 'viewers begin to have roles',
          'this needs a restart',
        )
      checkSettings(next, isConfigured)
      const prepared = { rules: rulesOf(next), tokens: readTokens(next) }
      return () => {
        present = prepared.rules
        tokens = prepared.tokens
        tokens?.refetchKeys()
      }
    },
  }
  const clock = createDatabaseClock()
  const kicks = createKicks(clock)
  const sessions = createSessions(viewer => kicks.hits(viewer))
  if (!isConfigured) {
    const nothing = () => undefined
    return {
      ...NO_AUTHENTICATION,
      ...shared,
      sessions,
      wake: nothing,
      anonymousProblem: Promise.resolve(undefined),
      start: nothing,
      close: async () => undefined,
    }
  }
  const { interval = 1000, observe } = options
  const queries = createViewerQueries(options.config, settings.connectTimeout)
  const roles = createRoles({ read: queries.roles, allowed: settings.roles, maxAge: 5 * interval })
  const configuredRoles = createConfiguredRoles({
    anonymousRole: settings.anonymousRole,
    allowed: settings.roles,
    withChannels: () => [...Object.keys(settings.roleChannels), ...Object.keys(settings.rolePublish)],
    login: options.config.user,
    roles,
    interval: ROLES_CHECK_EVERY * interval,
    observe,
  })
  const revocation = createRevocation({
    config: options.config,
    queries,
    kicks,
    clock,
    roles,
    configuredRoles,
    sessions,
    interval,
    retention: settings.kickRetention,
    observe,
  })
  const { authenticate: letIn } = createAuthenticator({
    authenticate,
    tokens: () => tokens,
    credentials: { cookie: settings.tokenCookie, trustsCookiesOf: options.trustsCookiesOf },
    roleClaim: settings.roleClaim,
    anonymousRole: settings.anonymousRole,
    clockTolerance: () => settings.jwtClockTolerance,
    roles,
    kicks,
    revocation,
  })
  return {
    ...shared,
    authenticate: letIn,
    sessions,
    wake: revocation.wake,
    anonymousProblem: configuredRoles.anonymous,
    start: revocation.start,
    close: revocation.close,
  }
}

/** @returns a function that gives the same tokens again for the same keys, since they remember the keys of the issuer */
function createTokensReader(): (settings: AuthSettings) => Tokens | undefined {
  let last: { readonly print: string; readonly tokens: Tokens | undefined } | undefined
  return ({ jwtSecret, jwtSecretFile, jwtPublicKey, jwksUrl, jwtIssuer, jwtAudience, jwtClockTolerance }) => {
    const options = {
      secret: jwtSecretFile === undefined ? jwtSecret : readSecretFile(jwtSecretFile),
      publicKey: jwtPublicKey === undefined ? undefined : readKeyText(jwtPublicKey),
      jwks: jwksUrl === undefined ? undefined : { url: jwksUrl },
      issuer: jwtIssuer,
      audience: jwtAudience,
      clockTolerance: jwtClockTolerance,
    }
    const print = JSON.stringify(options)
    if (last?.print !== print) last = { print, tokens: createTokens(options) }
    return last.tokens
  }
}

/** Refuses settings that would not have the effect that an administrator expects. */
function checkSettings(settings: AuthSettings, isConfigured: boolean): void {
  const { jwtSecret, jwtSecretFile, jwtPublicKey, jwksUrl } = settings
  if (jwtSecret !== undefined && jwtSecretFile !== undefined)
    throw refusal('--jwt-secret and --jwt-secret-file are both given')
  if (jwtPublicKey !== undefined && jwksUrl !== undefined)
    throw refusal('--jwt-public-key and --jwks-url are both given')
  if (isConfigured) return
  const idle: readonly (readonly [string, boolean])[] = [
    ['--role-channels', Object.keys(settings.roleChannels).length > 0],
    ['--role-publish', Object.keys(settings.rolePublish).length > 0],
    ['--roles', settings.roles.length > 0],
    ['--jwt-issuer', settings.jwtIssuer !== undefined],
    ['--jwt-audience', settings.jwtAudience.length > 0],
    ['--token-cookie', settings.tokenCookie !== undefined],
  ]
  const [flag] = idle.find(([, isGiven]) => isGiven) ?? []
  if (flag !== undefined) {
    throw refusal(
      `${flag} is given, but no option that identifies viewers: every client could do everything`,
      'give --jwt-secret, --jwt-public-key or --jwks-url, or --anonymous-role',
    )
  }
}

function refusal(message: string, hint = 'give one of them'): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', message, { hint })
}
