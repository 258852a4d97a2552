import { type MediaType, parseMediaTypes } from './media-type.js'

/** JSON under its two names (https://graphql.github.io/graphql-over-http/draft/#sec-Media-Types). */
export type JsonType = 'application/json' | 'application/graphql-response+json'

/** How a stream can leave over HTTP. */
export type StreamKind = 'sse' | 'multipart'

/** What an Accept header allows. */
export interface Accepted {
  /** Undefined if no JSON is accepted. */
  readonly json: JsonType | undefined
  /** Undefined if no stream is accepted. */
  readonly stream: StreamKind | undefined
  /** Whether a stream has a greater weight than JSON. */
  readonly prefersStream: boolean
}

/** The media types that the server can send; of types with equal weight under one range, the first one wins. */
const OFFERS: readonly Offer[] = [
  { kind: 'application/json', type: 'application/json' },
  { kind: 'application/graphql-response+json', type: 'application/graphql-response+json' },
  { kind: 'sse', type: 'text/event-stream' },
  // Without the parameter it is the incremental delivery of @defer, another protocol. So a wildcard does not match it.
  { kind: 'multipart', type: 'multipart/mixed', needs: 'subscriptionspec' },
]

interface Offer {
  readonly kind: JsonType | StreamKind
  readonly type: string
  readonly needs?: string
}

interface Weighed {
  readonly q: number
  /** The index of the range in the header. */
  readonly index: number
}

/**
 * Negotiates as https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1 says: the most specific range gives a type its weight, and 0
 * refuses it; of equal weights the one that the header names first wins. Without a header, or with an empty one, any type will do.
 */
export function negotiate(header: string | undefined): Accepted {
  const ranges = parseMediaTypes(header?.trim() ? header : '*/*')
  const weighed = OFFERS.flatMap(offer => {
    const weight = weigh(offer, ranges)
    return weight && weight.q > 0 ? [{ kind: offer.kind, ...weight }] : []
  }).sort((a, b) => b.q - a.q || a.index - b.index)
  const json = weighed.find(({ kind }) => isJson(kind))
  const stream = weighed.find(({ kind }) => !isJson(kind))
  return {
    json: json?.kind as JsonType | undefined,
    stream: stream?.kind as StreamKind | undefined,
    prefersStream: (stream?.q ?? 0) > (json?.q ?? 0),
  }
}

/** Whether the client prefers a page: it names text/html, with at least the weight of JSON. Programs send wildcards. */
export function acceptsPage(header: string | undefined): boolean {
  const ranges = parseMediaTypes(header ?? '')
  if (!ranges.some(({ type }) => type === 'text/html')) return false
  const page = weigh({ type: 'text/html' }, ranges)?.q ?? 0
  const json = weigh({ type: 'application/json' }, ranges)?.q ?? 0
  return page > 0 && page >= json
}

/** Whether a client of metrics prefers OpenMetrics to the older text format. */
export function acceptsOpenMetrics(header: string | undefined): boolean {
  const ranges = parseMediaTypes(header ?? '')
  if (!ranges.some(({ type }) => type === 'application/openmetrics-text')) return false
  const open = weigh({ type: 'application/openmetrics-text' }, ranges)?.q ?? 0
  const plain = weigh({ type: 'text/plain' }, ranges)?.q ?? 0
  return open > 0 && open >= plain
}

function isJson(kind: Offer['kind']): boolean {
  return kind === 'application/json' || kind === 'application/graphql-response+json'
}

/** The weight that a list of ranges gives a type; undefined if none of them matches. */
function weigh({ type, needs }: Omit<Offer, 'kind'>, ranges: readonly MediaType[]): Weighed | undefined {
  let best: (Weighed & { readonly specificity: number }) | undefined
  for (const [index, range] of ranges.entries()) {
    const specificity = specificityOf(range, type, needs)
    const q = weightOf(range)
    if (specificity === undefined || q === undefined) continue
    const isBetter =
      !best || specificity > best.specificity || (specificity === best.specificity && q > best.q)
    if (isBetter) best = { q, index, specificity }
  }
  return best
}

/** Undefined: the range does not match. Additional parameters of a range are no reason to refuse a type. */
function specificityOf(range: MediaType, type: string, needs: string | undefined): number | undefined {
  if (range.type === type) {
    if (needs !== undefined && !range.parameters.has(needs)) return undefined
    return 2 + [...range.parameters.keys()].filter(name => name !== 'q').length
  }
  if (needs !== undefined) return undefined
  if (range.type === type.replace(/\/.*/, '/*')) return 1
  return range.type === '*/*' ? 0 : undefined
}

/** Undefined if `q` is not a valid weight: then the range is ignored. */
function weightOf({ parameters }: MediaType): number | undefined {
  const text = parameters.get('q')
  if (text === undefined) return 1
  const q = text === '' ? Number.NaN : Number(text)
  return q >= 0 && q <= 1 ? q : undefined
}
