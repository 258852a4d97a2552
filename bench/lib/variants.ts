export type ServerName = 'listenql' | 'tutorial' | 'postgraphile' | 'floor'
export type TransportName = 'graphql-ws' | 'sse' | 'listen' | 'raw'

/** A server and the transport of its clients. */
export interface Variant {
  /** The letter that the option --variants and the tables use. */
  readonly letter: string
  readonly name: string
  readonly server: ServerName
  readonly transport: TransportName
  /** The source of events: NOTIFY on a channel, or the rows of a watched table. */
  readonly source: 'channel' | 'table'
}

const variant = (
  letter: string,
  name: string,
  server: ServerName,
  transport: TransportName,
  source: 'channel' | 'table' = 'channel',
): Variant => ({ letter, name, server, transport, source })

export const VARIANTS: readonly Variant[] = [
  variant('f', 'floor: bare ws, one buffer', 'floor', 'raw'),
  variant('a', 'listenql graphql-ws', 'listenql', 'graphql-ws'),
  variant('b', 'listenql SSE', 'listenql', 'sse'),
  variant('c', 'listenql /listen', 'listenql', 'listen'),
  variant('aw', 'listenql graphql-ws, watched table', 'listenql', 'graphql-ws', 'table'),
  variant('bw', 'listenql SSE, watched table', 'listenql', 'sse', 'table'),
  variant('d', 'tutorial: Yoga, graphql-ws', 'tutorial', 'graphql-ws'),
  variant('e', 'tutorial: Yoga, SSE', 'tutorial', 'sse'),
  variant('g', 'PostGraphile 5, graphql-ws', 'postgraphile', 'graphql-ws'),
]

/** @throws if there is no variant with this letter */
export function variantOf(letter: string): Variant {
  const found = VARIANTS.find(each => each.letter === letter)
  if (!found) throw new Error(`no variant "${letter}": there are ${VARIANTS.map(v => v.letter).join(', ')}`)
  return found
}

/** The channel of all notified events. */
export const CHANNEL = 'bench'
/** The table whose rows are the events of the watched variants. */
export const TABLE = 'feed'

const CHANNEL_QUERY = `subscription { channel(name: "${CHANNEL}") { payload } }`
const TABLE_QUERY = 'subscription { feedChanged { row { pk text } } }'

/** The document of a variant's subscribers. */
export function queryOf({ source }: Variant): string {
  return source === 'channel' ? CHANNEL_QUERY : TABLE_QUERY
}

/** The message that graphql-ws sends for a payload, byte for byte. */
export function graphqlWsMessage(payload: string): string {
  return `{"id":"1","type":"next","payload":{"data":{"channel":{"payload":${JSON.stringify(payload)}}}}}`
}
