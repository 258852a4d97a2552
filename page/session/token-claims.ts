/** What the page shows of a token. The server alone checks it. */
export interface TokenClaims {
  /** `sub`, else the role. */
  readonly name: string | undefined
  readonly expires: Date | undefined
}

/** Reads the claims of a JWT; empty if it is none. */
export function claimsOf(token: string): TokenClaims {
  try {
    const part = token.split('.')[1] ?? ''
    const bytes = Uint8Array.from(atob(part.replaceAll('-', '+').replaceAll('_', '/')), each =>
      each.charCodeAt(0),
    )
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>
    const name = claims.sub ?? claims.role
    return {
      name: name === undefined ? undefined : String(name).slice(0, 60),
      expires: typeof claims.exp === 'number' ? new Date(claims.exp * 1000) : undefined,
    }
  } catch {
    return { name: undefined, expires: undefined }
  }
}
