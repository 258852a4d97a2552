/** The limits of reads. */
export interface ReadLimits {
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  /** Most bytes of the images of one snapshot. */
  readonly maxBytes: number
  /** The options that set these limits. */
  readonly flags: { readonly timeout: string; readonly bytes: string }
}

/** How long after its statement_timeout an unresponsive connection is abandoned, in ms. */
export const SILENCE_GRACE_MS = 5000
