/** Where an error with a code arises: in the answer to a client, in a command or at a server's start, or in a program that uses the library. */
export type ErrorPlace = 'client' | 'operator' | 'program'

/**
 * Every code of a ListenqlError: when it happens, and what to do. Codes are stable: clients may branch on them. The first table of
 * errors in docs/graphql.md is made of the codes for clients (`npm run docs`).
 */
export interface ErrorCodes {
  /**
   * `limit`, `offset`, `orderBy` or `every` is out of bounds.
   * @client Change the arguments.
   */
  readonly ARGUMENT_INVALID: 'client'
  /**
   * The server cannot check tokens at the moment, because it cannot reach the issuer's keys or the database.
   * @client Try again.
   */
  readonly AUTHENTICATION_UNAVAILABLE: 'client'
  /**
   * An option is unknown or has an invalid value, or options contradict each other.
   * @client Change the option that the message names.
   */
  readonly BAD_CONFIGURATION: 'operator'
  /**
   * The name of a channel is empty, is longer than 63 bytes, or contains a NUL or a character that the encoding of the database cannot represent.
   * @client Choose another name.
   */
  readonly CHANNEL_NAME_INVALID: 'client'
  /**
   * The patterns of `--channels` or `--publish`, or those of the viewer's role, do not match the channel.
   * @client Do not try again: only the operator of the server can open channels.
   */
  readonly CHANNEL_NOT_ALLOWED: 'client'
  /**
   * `listenql codegen` cannot generate code: its generator is not installed, the schema cannot be read, or an operation does not fit it.
   * @client Do what the message says.
   */
  readonly CODEGEN_FAILED: 'operator'
  /**
   * The cursor is older than the retained events, or older than the current history of the table, or the table has no complete history at the moment.
   * @client Read a snapshot, and subscribe after its cursor.
   */
  readonly CURSOR_EXPIRED: 'client'
  /**
   * The value is not a cursor of this database, or a failover or restore has lost the history that the cursor belongs to.
   * @client Read a snapshot, and subscribe after its cursor.
   */
  readonly CURSOR_INVALID: 'client'
  /**
   * The database cannot be reached, or a statement that the server sent to it failed.
   * @client Try again. The server's log has the reason.
   */
  readonly DATABASE_FAILED: 'client'
  /**
   * The embedded Postgres cannot be prepared or started, or its data directory cannot be used.
   * @client Do what the hint says, or set DATABASE_URL to a Postgres of your own.
   */
  readonly EMBEDDED_POSTGRES_FAILED: 'operator'
  /**
   * The event target of `createPostgresEventTarget` has been closed.
   * @client Create another one.
   */
  readonly EVENT_TARGET_CLOSED: 'program'
  /**
   * An event, with the fields that the operation selects, is larger than `--max-event`. The error replaces that event, and the stream continues.
   * @client Select fewer fields.
   */
  readonly EVENT_TOO_LARGE: 'client'
  /**
   * A filter cannot be applied: an operand is not a value of the column's type, or the column's type does not have the operator. The message names the place, such as `where.age.eq`.
   * @client Change the filter.
   */
  readonly FILTER_INVALID: 'client'
  /**
   * The viewer's role may not be used, or may not read a table or column that the operation selects, filters or sorts by.
   * @client Do not try again until the role has the privilege.
   */
  readonly FORBIDDEN: 'client'
  /**
   * The request exceeds a limit of the server. `extensions.limit` names the option, `extensions.max` its value.
   * @client Request less. If the limit is one of connections, subscriptions, memory or rate, try again later.
   */
  readonly LIMIT_EXCEEDED: 'client'
  /**
   * The payload of `notify` contains a NUL or a character that the encoding of the database cannot represent.
   * @client Change the payload.
   */
  readonly PAYLOAD_INVALID: 'client'
  /**
   * The payload of `notify` has more than 7,999 bytes.
   * @client Send less, such as the id of a row.
   */
  readonly PAYLOAD_TOO_LARGE: 'client'
  /**
   * A live query needs policies that the server cannot follow: they read a table that is not watched, or use a function that does not show what it reads. The message names the policy.
   * @client Query the rows instead, or do not try again until the operator has done what the hint says.
   */
  readonly POLICY_NOT_WATCHED: 'client'
  /**
   * Another process listens on the port.
   * @client Stop that process, or choose another `--port`.
   */
  readonly PORT_IN_USE: 'operator'
  /**
   * A snapshot takes longer than `--query-timeout`, or the policies take too long for the viewer (`--policy-timeout`).
   * @client Query again, or subscribe again after the last cursor.
   */
  readonly QUERY_TIMEOUT: 'client'
  /**
   * The rows of a query are larger than `--max-snapshot`.
   * @client Ask for fewer rows or columns.
   */
  readonly RESULT_TOO_LARGE: 'client'
  /**
   * The tables, or the privileges on them, have changed, and the operation no longer fits.
   * @client Read the schema again, and subscribe again.
   */
  readonly SCHEMA_CHANGED: 'client'
  /**
   * Multipart only: the server is stopping.
   * @client Subscribe again: another server, or this one after its restart, answers.
   */
  readonly SERVER_STOPPING: 'client'
  /**
   * A reader inside this process has not taken its events: more than its limit are waiting. Clients over the network are disconnected instead.
   * @client Read faster, or raise the limit.
   */
  readonly SUBSCRIBER_TOO_SLOW: 'program'
  /**
   * The server's login may not read the table.
   * @client Do not try again: the operator has to run the GRANT that the hint contains.
   */
  readonly TABLE_NOT_READABLE: 'client'
  /**
   * There is no token, or the token is not valid, or no longer valid. Over HTTP this error is also the last event of a stream whose token has expired.
   * @client Sign in, and reconnect with a new token.
   */
  readonly UNAUTHENTICATED: 'client'
  /**
   * GraphQL cannot represent a value (NaN, an array of several dimensions), or the server cannot read a value. The rest of the row is delivered.
   * @client Show that the value is missing. If the whole change is null, select other columns or read the row in a snapshot.
   */
  readonly VALUE_NOT_SHOWN: 'client'
}

/** The code of a ListenqlError: a key of `ErrorCodes`, whose docstrings say when each happens and what to do. */
export type ErrorCode = keyof ErrorCodes

/** Codes of errors in the request itself. The server finds them before it executes a field of its schema. */
export interface RequestErrorCodes {
  /**
   * The request is not a GraphQL request, or its document is nested too deeply.
   * @client Correct the request.
   */
  readonly BAD_REQUEST: 'client'
  /**
   * A variable has a value that its type does not allow.
   * @client Correct the variables.
   */
  readonly BAD_USER_INPUT: 'client'
  /**
   * The server runs only the documents that its operator has listed (`--trusted-documents-only`), and the document of the request is not one of them.
   * @client Do not try again: the operator has to add the document to the file of `--trusted-documents`.
   */
  readonly DOCUMENT_NOT_TRUSTED: 'client'
  /**
   * The document is not valid GraphQL.
   * @client Correct the document.
   */
  readonly GRAPHQL_PARSE_FAILED: 'client'
  /**
   * The document does not fit the schema.
   * @client Read the schema again, or correct the document.
   */
  readonly GRAPHQL_VALIDATION_FAILED: 'client'
  /**
   * The server has a fault. The server's log has the details under the `id` in `extensions`.
   * @client Try again; report the id.
   */
  readonly INTERNAL_SERVER_ERROR: 'client'
  /**
   * `operationName` names no operation of the document, or is missing although the document has several operations.
   * @client Send the name of one of the document's operations.
   */
  readonly OPERATION_RESOLUTION_FAILURE: 'client'
  /**
   * The request has the id or hash of a document that the server does not know, and no document. The message is `PersistedQueryNotFound`.
   * @client Send the document, with its hash. Apollo's `PersistedQueryLink` and urql's `persistedExchange` do that automatically.
   */
  readonly PERSISTED_QUERY_NOT_FOUND: 'client'
  /**
   * The request has the id or hash of a document and no document, and the server has neither trusted nor persisted documents. The message is `PersistedQueryNotSupported`.
   * @client Send the document. Apollo's `PersistedQueryLink` and urql's `persistedExchange` do that automatically.
   */
  readonly PERSISTED_QUERY_NOT_SUPPORTED: 'client'
}
