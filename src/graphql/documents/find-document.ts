import type { GraphQLError } from 'graphql'
import {
  documentMismatch,
  documentNotTrusted,
  noDocument,
  persistedQueryNotFound,
  persistedQueryNotSupported,
  severalDocuments,
} from './document-errors.js'
import { type DocumentNames, hashOf } from './document-names.js'
import type { PersistedQueries } from './persisted-queries.js'
import { SHA256_PREFIX, sha256Of, type TrustedDocument, type TrustedDocuments } from './trusted-documents.js'

export interface DocumentOptions {
  /** Undefined: the operator lists none. */
  readonly trusted?: TrustedDocuments | undefined
  /** Refuse every other document. */
  readonly trustedOnly?: boolean
  /** Undefined: clients cannot register documents. */
  readonly persisted?: PersistedQueries | undefined
}

/** The document of a request. */
export interface FoundDocument {
  readonly text: string
  /** Stores the document under the hash that the client sent with it; undefined if there is nothing to store. */
  readonly register?: (() => void) | undefined
}

/** The documents that the server may run: it refuses a request whose names and text do not mean one and the same document. */
export interface Documents {
  find(
    request: DocumentNames & { readonly query?: string | undefined },
  ): FoundDocument | { error: GraphQLError }
  /** The listed document with this text, or the error if the server must not run the text. Undefined: an untrusted document. */
  check(text: string): TrustedDocument | { error: GraphQLError } | undefined
}

export function createDocuments({ trusted, trustedOnly = false, persisted }: DocumentOptions): Documents {
  /** Whether the document of a name is known; only a SHA-256 proves the text of an unknown one. */
  interface Name {
    readonly text: string | undefined
    readonly sha256: string | undefined
  }

  function ofId(id: string): Name {
    const sha256 = id.startsWith(SHA256_PREFIX) ? id.slice(SHA256_PREFIX.length) : undefined
    const stored = sha256 === undefined ? undefined : persisted?.get(sha256)
    return { text: trusted?.byId(id)?.text ?? stored, sha256 }
  }

  function ofHash(hash: string): Name {
    return { text: trusted?.byHash(hash)?.text ?? persisted?.get(hash), sha256: hash || undefined }
  }

  function namesOf({ documentIds = [], extensions }: DocumentNames): Name[] {
    const hash = hashOf(extensions)
    return [...documentIds.map(ofId), ...(hash === undefined ? [] : [ofHash(hash)])]
  }

  /** The request has no document, but names of one. */
  function findByName(names: readonly Name[]): FoundDocument | { error: GraphQLError } {
    const [first] = names
    if (!first) return { error: noDocument() }
    const { text } = first
    if (text !== undefined && names.every(name => name.text === text)) return { text }
    if (names.every(name => name.text !== undefined)) return { error: severalDocuments() }
    if (trustedOnly) return { error: documentNotTrusted() }
    return { error: trusted || persisted ? persistedQueryNotFound() : persistedQueryNotSupported() }
  }

  /** The request has a document, and each name must mean the same. */
  function findByText(text: string, names: readonly Name[]): FoundDocument | { error: GraphQLError } {
    if (names.length === 0 || !(trusted || persisted)) return { text } // without stored documents, names mean nothing
    const sha256 = sha256Of(text)
    const listed = trusted?.byText(text)?.text
    for (const name of names) {
      const isOther =
        name.text === undefined
          ? name.sha256 !== undefined && name.sha256 !== sha256
          : name.text !== text && name.text !== listed
      if (isOther) return { error: documentMismatch() }
      // No document has this id, so that nothing shows that it means this text.
      if (name.text === undefined && name.sha256 === undefined && trusted)
        return { error: trustedOnly ? documentNotTrusted() : documentMismatch() }
    }
    const isNew = names.some(name => name.text === undefined && name.sha256 !== undefined)
    return { text, register: persisted && isNew ? () => persisted.set(sha256, text) : undefined }
  }

  return {
    find(request) {
      const { query } = request
      const names = namesOf(request)
      // An empty text beside a name is no document; alone it is one with a syntax error.
      if (query || (query !== undefined && names.length === 0)) return findByText(query, names)
      return findByName(names)
    },
    check(text) {
      const document = trusted?.byText(text)
      return document ?? (trustedOnly ? { error: documentNotTrusted() } : undefined)
    },
  }
}
