import type { Settings } from '../config/index.js'
import { createDocuments, type Documents } from '../graphql/documents/find-document.js'
import { createPersistedQueries } from '../graphql/documents/persisted-queries.js'
import { readTrustedDocuments } from '../graphql/documents/trusted-documents.js'
import type { PrepareReload } from './reload/reload.js'

/** The documents that a server may run, by its settings. */
export interface ServerDocuments extends Documents {
  /** Reads the file of trusted documents again. What clients have registered is kept. */
  readonly prepare: PrepareReload
}

/** @throws ListenqlError BAD_CONFIGURATION: the file of trusted documents is not usable */
export function createServerDocuments(
  settings: Pick<Settings, 'trustedDocuments' | 'trustedDocumentsOnly' | 'persistedQueries'>,
): ServerDocuments {
  const { trustedDocumentsOnly, persistedQueries } = settings
  const persisted = persistedQueries === undefined ? undefined : createPersistedQueries(persistedQueries)
  const read = ({ trustedDocuments }: Pick<Settings, 'trustedDocuments'>): Documents =>
    createDocuments({
      trusted: trustedDocuments === undefined ? undefined : readTrustedDocuments(trustedDocuments),
      trustedOnly: trustedDocumentsOnly,
      persisted,
    })
  let present = read(settings)
  return {
    find: request => present.find(request),
    check: text => present.check(text),
    prepare(next) {
      const documents = read(next)
      return () => {
        present = documents
      }
    },
  }
}
