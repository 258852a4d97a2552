/** The limits of reads. A reload may change `maxBytes`. */
export interface ReadLimits {
  /** Longest that a statement may take, in ms. */
  readonly queryTimeout: number
  /** Most bytes of the images of one snapshot. */
  readonly maxBytes: number
  /** The options that set these limits. */
  readonly flags: { readonly timeout: string; readonly bytes: string }
}

/** As many as one snapshot may have by default. */
const MESSAGE_BYTES = 64 * 2 ** 20

/** Most bytes of the images that are held for all reads of a message. */
export function messageBytes({ maxBytes }: ReadLimits): number {
  return Math.max(MESSAGE_BYTES, maxBytes)
}

/** How long after its statement_timeout an unresponsive connection is abandoned, in ms. */
export const SILENCE_GRACE_MS = 5000
