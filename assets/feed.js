import { graphqlUrl } from './endpoint.js'

const firstDelay = 500
const longestDelay = 15_000

/**
 * Follows a subscription over Server-Sent Events, starting after a cursor. When the connection ends, the browser reconnects with the
 * id of the last event, and the server resumes after it: nothing is lost, nothing arrives twice.
 * `on.result(result)`: a GraphQL result. `on.live()`: connected. `on.waiting()`: not connected any more, will reconnect.
 */
export function openFeed(query, cursor, on) {
  let position = cursor
  let failures = 0
  let source
  let timer

  function open() {
    const url = graphqlUrl()
    url.searchParams.set('query', query)
    url.searchParams.set('extensions', JSON.stringify({ after: position }))
    source = new EventSource(url)
    source.onopen = () => {
      failures = 0
      on.live()
    }
    source.addEventListener('next', ({ data, lastEventId }) => {
      position = lastEventId || position
      on.result(JSON.parse(data))
    })
    source.onerror = () => {
      on.waiting()
      // A browser gives up after any status other than 200, such as a proxy's 502 while the server is down.
      if (source.readyState !== EventSource.CLOSED) return
      clearTimeout(timer)
      timer = setTimeout(open, Math.min(longestDelay, firstDelay * 2 ** failures) * (0.5 + Math.random() / 2))
      failures += 1
    }
  }

  open()
  return {
    /** The cursor of the last event. */
    get position() {
      return position
    },
    close() {
      clearTimeout(timer)
      source.close()
    },
  }
}
