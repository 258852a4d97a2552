import { tokenExpiry } from './token-expiry.js'

/** Fetches another token before the present one expires. */
export interface TokenRenewal<Params> {
  /** For graphql-ws, which calls it for each connection. */
  readonly connectionParams: () => Promise<Params>
  /** The connection is lost: there is nothing to renew. */
  readonly gone: () => void
}

export interface TokenRenewalOptions<Params> {
  /** The application's own function. */
  readonly connectionParams: () => Params | Promise<Params>
  /** Whether reconnecting does no harm at the moment. */
  readonly isSafe: () => boolean
  /** Reconnects at once. */
  readonly reconnect: () => void
}

/** A token is renewed so long before it expires, in ms, or a tenth of its time before if that is shorter. */
const MARGIN_MS = 30_000
/** A token with less time left, in ms, is left to the server: this clock may be wrong. */
const LEAST_MS = 5_000
/** A timer cannot be longer, in ms; such a token is left to the server, too. */
const LONGEST_MS = 2 ** 31 - 1
/**
 * graphql-transport-ws has no message for another token (a second `connection_init` closes the socket with 4429), so another token needs
 * another connection. The token is fetched first, so that the client is away for one handshake only. If there is no newer token
 * yet, or reconnecting would do harm, the connection stays until the server closes it with 4403 `Token expired`, after which the client reconnects, too.
 */
export function createTokenRenewal<Params>({
  connectionParams,
  isSafe,
  reconnect,
}: TokenRenewalOptions<Params>): TokenRenewal<Params> {
  let timer: ReturnType<typeof setTimeout> | undefined
  let prepared: { readonly params: Params; readonly expiry: number } | undefined
  /** Changes with each connection. */
  let epoch = 0

  function gone(): void {
    epoch++
    clearTimeout(timer)
  }
  function schedule(expiry: number): void {
    const left = expiry - Date.now()
    const delay = left - Math.min(MARGIN_MS, left / 10)
    if (delay < LEAST_MS || delay > LONGEST_MS) return
    timer = setTimeout(renew, delay, expiry)
  }
  async function renew(expiry: number): Promise<void> {
    const own = epoch
    const params = await Promise.resolve()
      .then(connectionParams)
      .catch(() => undefined) // the connection lasts; if the function still fails when it is over, its error is reported
    const next = tokenExpiry(params)
    if (own !== epoch || params === undefined || next === undefined || next <= expiry) return
    prepared = { params, expiry: next }
    if (isSafe()) reconnect()
  }
  return {
    async connectionParams() {
      const given = prepared && prepared.expiry > Date.now() ? prepared.params : await connectionParams()
      prepared = undefined
      gone()
      const expiry = tokenExpiry(given)
      if (expiry !== undefined) schedule(expiry)
      return given
    },
    gone,
  }
}
