/** An event that an EventSource dispatches. */
export interface DispatchedEvent {
  /** `message` unless the stream names the event. */
  readonly type: string
  readonly data: string
  readonly lastEventId: string
}

/**
 * Interprets an event stream as a browser does, clause by clause
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
 * @throws Error if an EventSource would fail the connection: a status other than 200, or another content type
 */
export async function* readEventStream(response: Response): AsyncGenerator<DispatchedEvent, void, undefined> {
  if (response.status !== 200) throw new Error(`status ${response.status}`)
  if (!/^text\/event-stream\s*(;|$)/i.test(response.headers.get('content-type') ?? ''))
    throw new Error(`content type ${response.headers.get('content-type')}`)
  if (!response.body) throw new Error('no body')
  const decoder = new TextDecoder()
  let rest = ''
  let type = ''
  let data = ''
  let lastEventId = ''
  for await (const chunk of response.body) {
    rest += decoder.decode(chunk, { stream: true })
    // A CR at the end may be half of a CRLF, so it waits for the next chunk.
    for (let end = /\r\n|\n|\r(?!$)/.exec(rest); end; end = /\r\n|\n|\r(?!$)/.exec(rest)) {
      const line = rest.slice(0, end.index)
      rest = rest.slice(end.index + end[0].length)
      if (line === '') {
        // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and return."
        if (data !== '') yield { type: type || 'message', data: data.slice(0, -1), lastEventId }
        type = ''
        data = ''
        continue
      }
      const colon = line.indexOf(':')
      if (colon === 0) continue // A comment.
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') type = value
      if (field === 'data') data += `${value}\n`
      if (field === 'id' && !value.includes('\0')) lastEventId = value
    }
  }
}
