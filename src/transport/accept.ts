/** How a result can leave over HTTP. */
export type ResponseKind = 'json' | 'sse' | 'multipart'

/**
 * The kinds that an Accept header takes (https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1), best first; in the order
 * given where weights are equal. No header, or a range such as any type, takes JSON first.
 */
export function acceptedKinds(header: string | undefined): ResponseKind[] {
  const kinds = new Map<ResponseKind, number>()
  for (const part of (header ?? '*/*').split(',')) {
    const [type = '', ...parameters] = part.split(';').map(text => text.trim().toLowerCase())
    const q = Number(parameters.find(parameter => parameter.startsWith('q='))?.slice(2) ?? 1)
    if (!(q > 0)) continue
    for (const kind of kindsOf(type, parameters)) if (q > (kinds.get(kind) ?? 0)) kinds.set(kind, q)
  }
  return [...kinds].sort(([, a], [, b]) => b - a).map(([kind]) => kind)
}

function kindsOf(type: string, parameters: string[]): ResponseKind[] {
  switch (type) {
    case 'application/json':
    case 'application/graphql-response+json':
    case 'application/*':
      return ['json']
    case 'text/event-stream':
    case 'text/*':
      return ['sse']
    case 'multipart/mixed': // without the parameter it is the incremental delivery of @defer, another protocol
      return parameters.some(parameter => parameter.startsWith('subscriptionspec=')) ? ['multipart'] : []
    case '*/*':
      return ['json', 'sse']
    default:
      return []
  }
}
