/** Where an error with a code arises: in the answer to a client, in a command or at a server's start, or in a program that uses the library. */
export type ErrorPlace = 'client' | 'operator' | 'program'

/**
 * Every code of a ListenqlError: when it happens, and what to do. Codes are stable: clients may branch on them. The first table of
 * errors in docs/graphql.md is made of the codes for clients (`npm run docs`).
 */
export interface ErrorCodes {
  /**
   * `limit`, `offset` or `orderBy` is out of bounds.
   * @client Change the arguments.
   */
  readonly ARGUMENT_INVALID: 'client'
  /**
   * The server cannot check tokens at the moment: its keys or the database are out of reach.
   * @client Try again.
   */
  readonly AUTHENTICATION_UNAVAILABLE: 'client'
  /**
   * An option is unknown or has a value that it cannot have, or options contradict each other.
   * @client Change the option that the message names.
   */
  readonly BAD_CONFIGURATION: 'operator'
  /**
   * The name of a channel is empty, longer than 63 bytes, holds a NUL, or has a character that the encoding of the database lacks.
   * @client Choose another name.
   */
  readonly CHANNEL_NAME_INVALID: 'client'
  /**
   * The patterns of `--channels` or `--publish`, or those of the viewer's role, do not match the channel.
   * @client Do not try again: the operator opens channels.
   */
  readonly CHANNEL_NOT_ALLOWED: 'client'
  /**
   * The cursor is older than the events that are kept, or than the present history of the table, or the table has no whole history at the moment.
   * @client Read a snapshot, and subscribe after its cursor.
   */
  readonly CURSOR_EXPIRED: 'client'
  /**
   * The text is no cursor of this database, or a failover or restore has lost the history that the cursor belongs to.
   * @client Read a snapshot, and subscribe after its cursor.
   */
  readonly CURSOR_INVALID: 'client'
  /**
   * The database cannot be reached, or has refused what was asked of it.
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
   * An event, rendered as the operation selects it, is larger than `--max-event`. The error takes the place of that event, and the stream goes on.
   * @client Select fewer fields.
   */
  readonly EVENT_TOO_LARGE: 'client'
  /**
   * A filter cannot be applied: an operand is no value of the column's type, or the operator does not fit it. The message names the place, as in `where.age.eq`.
   * @client Change the filter.
   */
  readonly FILTER_INVALID: 'client'
  /**
   * The viewer's role cannot be taken, or may not read what the operation selects or filters by.
   * @client Do not try again before the role has the right.
   */
  readonly FORBIDDEN: 'client'
  /**
   * The request exceeds a limit of the server. `extensions.limit` names the option, `extensions.max` its value.
   * @client Ask for less, or try again later if the limit is one of connections, subscriptions, memory or rate.
   */
  readonly LIMIT_EXCEEDED: 'client'
  /**
   * The payload of `notify` holds a NUL.
   * @client Change the payload.
   */
  readonly PAYLOAD_INVALID: 'client'
  /**
   * The payload of `notify` has more than 7,999 bytes.
   * @client Send less, such as the id of a row.
   */
  readonly PAYLOAD_TOO_LARGE: 'client'
  /**
   * Another process listens on the port.
   * @client Stop that process, or choose another `--port`.
   */
  readonly PORT_IN_USE: 'operator'
  /**
   * A snapshot takes longer than `--query-timeout`, or the policies take too long for the viewer (`--policy-timeout`).
   * @client Try again; subscribe again after the last cursor.
   */
  readonly QUERY_TIMEOUT: 'client'
  /**
   * The rows of a query are larger than `--max-snapshot`.
   * @client Ask for fewer rows or columns.
   */
  readonly RESULT_TOO_LARGE: 'client'
  /**
   * The tables, or the rights to them, have changed, and the operation does not fit them any more.
   * @client Read the schema again, and subscribe again.
   */
  readonly SCHEMA_CHANGED: 'client'
  /**
   * Multipart only: the server is stopping.
   * @client Subscribe again: another server, or the next one, answers.
   */
  readonly SERVER_STOPPING: 'client'
  /**
   * A reader inside this process has not taken its events: more than its limit are waiting. Clients over the network are disconnected instead.
   * @client Read faster, or raise the limit.
   */
  readonly SUBSCRIBER_TOO_SLOW: 'program'
  /**
   * The server's login may not read the table.
   * @client Do not try again: the hint has the GRANT for the operator.
   */
  readonly TABLE_NOT_READABLE: 'client'
  /**
   * There is no token, or it is not valid, or not valid any more. Over HTTP it is also the last event of a stream whose token has expired.
   * @client Sign in, and come back with a new token.
   */
  readonly UNAUTHENTICATED: 'client'
  /**
   * GraphQL cannot show one value (NaN, an array of several dimensions), or it cannot be read. The rest of the row is delivered.
   * @client Show that the value is missing. If the whole change is null, select other columns or read the row in a snapshot.
   */
  readonly VALUE_NOT_SHOWN: 'client'
}

/** The code of a ListenqlError: a key of `ErrorCodes`, whose docstrings say when each happens and what to do. */
export type ErrorCode = keyof ErrorCodes

/** Codes of errors that are about the request itself, before anything of listenql is asked. */
export interface RequestErrorCodes {
  /**
   * The request is no GraphQL request, or its document is too deep.
   * @client Mend the request.
   */
  readonly BAD_REQUEST: 'client'
  /**
   * A variable has a value that its type does not allow.
   * @client Mend the variables.
   */
  readonly BAD_USER_INPUT: 'client'
  /**
   * The document is no GraphQL.
   * @client Mend the document.
   */
  readonly GRAPHQL_PARSE_FAILED: 'client'
  /**
   * The document does not fit the schema.
   * @client Read the schema again, or mend the document.
   */
  readonly GRAPHQL_VALIDATION_FAILED: 'client'
  /**
   * The server has a fault. Its log has more under the `id` in `extensions`.
   * @client Try again; report the id.
   */
  readonly INTERNAL_SERVER_ERROR: 'client'
  /**
   * `operationName` names no operation of the document, or is missing where the document has several.
   * @client Send the name of one of them.
   */
  readonly OPERATION_RESOLUTION_FAILURE: 'client'
  /**
   * The request has the hash of a document and no document (automatic persisted queries). The message is `PersistedQueryNotSupported`.
   * @client Send the document: Apollo's `PersistedQueryLink` and urql's `persistedExchange` then do so by themselves.
   */
  readonly PERSISTED_QUERY_NOT_SUPPORTED: 'client'
}
