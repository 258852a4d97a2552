import { textSize } from '../../lib/size-of.js'
import { createDocumentCache } from './document-cache.js'

/** Most memory of the texts that clients have registered, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024

/**
 * The documents of clients that send a document once and then its hash ("automatic persisted queries"). The least recently used
 * ones are forgotten; their clients then send them again.
 */
export interface PersistedQueries {
  get(hash: string): string | undefined
  /** @param hash the SHA-256 of the text: the caller has checked it */
  set(hash: string, text: string): void
}

/** @param maxEntries most documents */
export function createPersistedQueries(maxEntries: number): PersistedQueries {
  return createDocumentCache<string>(MAX_BYTES, (hash, text) => textSize(hash) + textSize(text), maxEntries)
}
