/** What the user does on this page, whatever the server advises to programs. */
const HERE: Readonly<Record<string, string>> = {
  // The page writes its documents for the tables that it finds, so that no file can list them.
  DOCUMENT_NOT_TRUSTED:
    'This page sends documents of its own, so it can show nothing of this server, and send no message. It needs a server without --trusted-documents-only.',
  UNAUTHENTICATED: 'Sign in with a token.',
  '4401': 'Sign in with a valid token.',
  '4403': 'Sign in with another token.',
}

/** What helps where the server gives no hint; docs/graphql.md says what a program does. */
const REMEDIES: Readonly<Record<string, string>> = {
  ARGUMENT_INVALID: 'Choose another order or page.',
  AUTHENTICATION_UNAVAILABLE: 'The page tries again.',
  CHANNEL_NAME_INVALID: 'Choose another name, of at most 63 bytes.',
  CHANNEL_NOT_ALLOWED: 'Choose another channel, or have the operator open it.',
  CURSOR_EXPIRED: 'The page reads the rows again.',
  CURSOR_INVALID: 'The page reads the rows again.',
  DATABASE_FAILED: "The page tries again. The server's log has the reason.",
  FILTER_INVALID: 'Change the filter.',
  FORBIDDEN: 'Sign in with another token, or have the operator grant the privilege.',
  GRAPHQL_VALIDATION_FAILED: 'Change the filter or the order.',
  INTERNAL_SERVER_ERROR: "Try again. The server's log has the details.",
  LIMIT_EXCEEDED: 'Show fewer rows at a time, or filter.',
  PAYLOAD_INVALID: 'Change the message.',
  PAYLOAD_TOO_LARGE: 'Send less: 7,999 bytes are the limit of Postgres.',
  POLICY_NOT_WATCHED: 'Have the operator watch the table that the policy reads.',
  QUERY_TIMEOUT: 'Filter by an indexed column.',
  RESULT_TOO_LARGE: 'Show fewer rows at a time, or filter.',
  SCHEMA_CHANGED: 'The page reads the schema again.',
  TABLE_NOT_READABLE: 'Have the operator run the GRANT that the hint contains.',
}

/** A sentence. @param hint what the server says, which knows more than the code */
export function whatToDo(code: string | undefined, hint?: string): string {
  return sentence(HERE[code ?? ''] ?? hint ?? REMEDIES[code ?? ''] ?? 'Try again.')
}

/** Messages of the server have neither a capital nor a full stop. */
export const sentence = (text: string) =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? '' : '.'}`
