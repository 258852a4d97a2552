import { GraphQLError } from 'graphql'

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

/** Tells the client to send this document, with its hash; the message and the code are those of Apollo, as above. */
export function persistedQueryNotFound(): GraphQLError {
  return new GraphQLError('PersistedQueryNotFound', {
    extensions: {
      code: 'PERSISTED_QUERY_NOT_FOUND',
      hint: 'this server does not know the document: send "query", with the same id or hash if you like',
    },
  })
}

/** The server runs trusted documents only, and this is none. */
export function documentNotTrusted(): GraphQLError {
  return new GraphQLError(
    'This server runs only the documents that its operator has listed, and the document of this request is not one of them.',
    {
      extensions: {
        code: 'DOCUMENT_NOT_TRUSTED',
        hint: 'generate the persisted documents of the application again and add them to the file of --trusted-documents, which the server reads again when it changes',
      },
    },
  )
}

/** The request has a document and the name of another one. */
export function documentMismatch(): GraphQLError {
  return new GraphQLError(
    'The "query" of the request is not the document that its id or hash names: send one of the two.',
    { extensions: { code: 'BAD_REQUEST' } },
  )
}

/** The request names several documents. */
export function severalDocuments(): GraphQLError {
  return new GraphQLError('The ids and hashes of the request name different documents: send one of them.', {
    extensions: { code: 'BAD_REQUEST' },
  })
}

/** The request has neither a document nor the name of one. */
export function noDocument(): GraphQLError {
  return new GraphQLError('The request has no "query"; send {"query": "…"}.', {
    extensions: { code: 'BAD_REQUEST' },
  })
}
