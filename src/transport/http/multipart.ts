import type { StreamFormat } from './response-sink.js'

/**
 * The multipart protocol of Apollo Client's HttpLink
 * (https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol). The server writes a delimiter
 * right after each part, since a client delivers a part only when it has seen its end. JSON holds no raw line break, so no payload
 * can contain a delimiter.
 */
export const multipart: StreamFormat = {
  name: 'multipart',
  headers: {
    'content-type': 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  },
  opening: '\r\n--graphql',
  next: json => part(`{"payload":${json}}`),
  keepAlive: () => part('{}'),
  last: json => `${part(`{"payload":${json}}`)}--\r\n`,
  // An error beside the payload is an error of the transport.
  goodbye: ({ code, message, hint }) =>
    `${part(JSON.stringify({ payload: null, errors: [{ message, extensions: { code, hint } }] }))}--\r\n`,
  isCutOff: false,
}

function part(json: string): string {
  return `\r\ncontent-type: application/json\r\n\r\n${json}\r\n--graphql`
}
