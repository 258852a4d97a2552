import { cookieName, httpUrl } from '../checks.js'
import { duration, period } from '../quantity-types.js'
import { list, text } from '../value-type.js'
import { option, optional } from './option.js'

const SECOND_MS = 1000
const HOUR_MS = 3_600_000

/** Options of the group Viewers. */
export const viewersOptions = {
  jwtSecret: optional({
    group: 'Viewers',
    type: text('SECRET'),
    otherwise: 'no such tokens',
    example: 'at-least-32-bytes-that-are-hard-to-guess',
    help: 'Secret of tokens signed with HS256, HS384 or HS512; set it by variable or file, because other users of the machine can see flags',
    secret: 'all',
  }),
  jwtSecretFile: optional({
    group: 'Viewers',
    type: text('FILE'),
    otherwise: 'none',
    example: '/run/secrets/jwt',
    help: 'File with the secret, instead of --jwt-secret',
  }),
  jwtPublicKey: optional({
    group: 'Viewers',
    type: text('PEM|FILE'),
    otherwise: 'no such tokens',
    example: 'issuer.pem',
    help: 'Public key (PEM or JWK, or a file with it) of tokens signed with RS, PS, ES or EdDSA',
    secret: 'all', // it may be a private key by mistake
  }),
  jwksUrl: optional({
    group: 'Viewers',
    type: text('URL', httpUrl),
    otherwise: 'no such tokens',
    example: 'https://auth.example.com/.well-known/jwks.json',
    help: "URL of the token issuer's public keys; the server fetches the keys again regularly",
    secret: 'all', // its query may contain a password
  }),
  jwtIssuer: optional({
    group: 'Viewers',
    type: text('ISSUER'),
    otherwise: 'any',
    example: 'https://auth.example.com/',
    help: 'Required value of the claim iss of a token',
  }),
  jwtAudience: option({
    group: 'Viewers',
    type: list('AUDIENCES', () => undefined),
    default: [],
    example: ['my-app'],
    help: 'The claim aud of a token must contain one of these audiences; if none are given, aud is not checked',
  }),
  jwtClockTolerance: option({
    group: 'Viewers',
    type: duration,
    default: 5 * SECOND_MS,
    help: 'Tolerated difference between the clocks of the token issuer and the server, when exp and nbf are checked',
  }),
  roleClaim: option({
    group: 'Viewers',
    type: text('CLAIM'),
    default: 'role',
    help: 'Claim with the Postgres role of the viewer; dots lead into objects, as in app_metadata.role',
  }),
  anonymousRole: optional({
    group: 'Viewers',
    type: text('ROLE'),
    otherwise: 'viewers without a token are refused',
    example: 'anon',
    help: 'Postgres role of viewers without a token',
  }),
  roles: option({
    group: 'Viewers',
    type: list('ROLES', () => undefined),
    default: [],
    example: ['anon', 'authenticated'],
    help: "Roles that viewers may use; if none are given, the roles that the server's login is a member of. The login's own role, superusers and roles with BYPASSRLS must always be listed",
  }),
  tokenCookie: optional({
    group: 'Viewers',
    type: text('NAME', cookieName),
    otherwise: 'cookies are ignored',
    example: 'session',
    help: 'Name of a cookie that may contain the token, in requests from pages of an allowed origin',
  }),
  kickRetention: option({
    group: 'Viewers',
    type: period,
    default: 30 * 24 * HOUR_MS,
    help: 'How long a kick is remembered; must be longer than the lifetime of any token',
  }),
} as const
