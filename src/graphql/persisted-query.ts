import { GraphQLError } from 'graphql'
import { isRecord } from '../lib/is-record.js'

/** Whether a request names its document by a hash instead of sending it, as "automatic persisted queries" do. */
export function isHashed(query: unknown, extensions: unknown): boolean {
  const isAbsent = query === undefined || query === null || query === ''
  return isAbsent && isRecord(extensions) && isRecord(extensions.persistedQuery)
}

/**
 * Tells the client to send documents from now on. Apollo Client checks the code, urql exactly this message
 * (https://www.apollographql.com/docs/apollo-server/performance/apq); both then repeat the request by themselves.
 */
export function persistedQueryNotSupported(): GraphQLError {
  return new GraphQLError('PersistedQueryNotSupported', {
    extensions: {
      code: 'PERSISTED_QUERY_NOT_SUPPORTED',
      hint: 'this server stores no documents: send "query"',
    },
  })
}
