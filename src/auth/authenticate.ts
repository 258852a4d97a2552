import { type Claims, claimAt, numberOf } from '../lib/claims.js'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Authenticate, Authenticated } from './authenticated.js'
import { type CredentialsOptions, type Handshake, tokenOf } from './credentials.js'
import { badToken, forbiddenRole, noToken, unavailable } from './errors.js'
import type { Kicks } from './kicks.js'
import type { Revocation } from './revocation.js'
import type { Roles } from './roles.js'
import type { Tokens } from './tokens.js'
import { ANONYMOUS, type Viewer } from './viewer.js'

export interface AuthenticatorOptions {
  readonly authenticate: Authenticate | undefined
  /** Returns undefined if no key is configured. A reload may change the keys. */
  readonly tokens: () => Tokens | undefined
  readonly credentials: CredentialsOptions
  readonly roleClaim: string
  readonly anonymousRole: string | undefined
  /** Returns ms. */
  readonly clockTolerance: () => number
  readonly roles: Roles
  readonly kicks: Kicks
  readonly revocation: Pick<Revocation, 'again' | 'ready'>
}

/** Finds the viewer of a connection or request. */
export interface Authenticator {
  /** @throws ListenqlError UNAUTHENTICATED, FORBIDDEN, AUTHENTICATION_UNAVAILABLE */
  authenticate(handshake: Handshake): Promise<Viewer>
}

/** Used where authorisation is not configured. */
export const NO_AUTHENTICATION: Authenticator = { authenticate: () => Promise.resolve(ANONYMOUS) }

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const {
    revocation,
    authenticate,
    tokens,
    credentials,
    roleClaim,
    anonymousRole,
    clockTolerance,
    roles,
    kicks,
  } = options

  async function identify(handshake: Handshake): Promise<Viewer> {
    if (authenticate) return ofFunction(await call(authenticate, handshake))
    const token = tokenOf(handshake, credentials)
    if (token === undefined) return anonymous()
    return ofClaims(await verify(token))
  }

  async function verify(token: string): Promise<Claims> {
    const keys = tokens()
    if (!keys) throw badToken('there is no key to verify it with')
    const claims = await keys.verify(token)
    // A reload may have withdrawn the key while the keys of the issuer were fetched.
    return keys === tokens() ? claims : verify(token)
  }

  function ofClaims(claims: Claims): Viewer {
    const [iat, exp] = [numberOf(claims.iat), numberOf(claims.exp)]
    const named = claimAt(claims, roleClaim)
    if (named !== undefined && (typeof named !== 'string' || named === ''))
      throw forbiddenRole(`the claim ${roleClaim} is not a text`)
    const role = named ?? anonymousRole
    if (role === undefined) throw forbiddenRole(`the token has no claim ${roleClaim}`)
    return {
      role,
      claims,
      issuedAt: iat === undefined ? undefined : timeOf(iat * 1000),
      // With the tolerance, as in the check of the token itself: a client that returned earlier would bring the same token.
      expiresAt: exp === undefined ? undefined : exp * 1000 + clockTolerance(),
    }
  }

  function ofFunction(given: Authenticated | null | undefined): Viewer {
    if (!given) return anonymous()
    const role = given.role ?? anonymousRole
    if (role === undefined) throw noToken()
    return {
      role,
      claims: given.claims ?? { role },
      issuedAt: given.issuedAt && timeOf(given.issuedAt.getTime()),
      expiresAt: given.expiresAt?.getTime(),
    }
  }

  /**
   * The viewer without a token has a claim `role`, as under PostgREST, which policies can read. No kick ends it, whatever the
   * clocks say.
   */
  function anonymous(): Viewer {
    if (anonymousRole === undefined) throw noToken()
    return {
      role: anonymousRole,
      claims: { role: anonymousRole },
      issuedAt: Number.POSITIVE_INFINITY,
      expiresAt: undefined,
    }
  }

  /** If the database is down, the viewer waits for it instead of being refused. */
  async function assertMayTake(role: string): Promise<void> {
    try {
      await roles.assertMayTake(role)
    } catch (error) {
      if (!(error instanceof ListenqlError) || error.code !== 'AUTHENTICATION_UNAVAILABLE') throw error
      await revocation.again()
      await roles.assertMayTake(role)
    }
  }

  return {
    async authenticate(handshake) {
      const viewer = await identify(handshake)
      await revocation.ready()
      await assertMayTake(viewer.role as string)
      if (viewer.expiresAt !== undefined && viewer.expiresAt <= Date.now()) throw badToken('it has expired')
      if (kicks.hits(viewer)) throw badToken('its holder was kicked')
      return kicks.accept(viewer)
    },
  }
}

/** A time in ms; undefined if it is out of range: an invalid time must not count as later than every kick. */
function timeOf(ms: number): number | undefined {
  return Math.abs(ms) <= LAST_DATE_MS ? ms : undefined
}

/** The latest time that a Date can hold, in ms since 1970. */
const LAST_DATE_MS = 8.64e15

async function call(authenticate: Authenticate, handshake: Handshake) {
  try {
    return await authenticate(handshake)
  } catch (error) {
    if (error instanceof ListenqlError && CODES.has(error.code)) throw error
    throw badToken(`authenticate: ${messageOf(error)}`)
  }
}

const CODES: ReadonlySet<string> = new Set([noToken().code, forbiddenRole('').code, unavailable('').code])
