import { graphqlUrl } from './endpoint.js'

const firstDelay = 500
const longestDelay = 15_000

/**
 * Follows a subscription over Server-Sent Events from behind a cursor. A browser comes back by itself, with the id of the last
 * event, when the connection ends; the server goes on behind it: nothing is lost, nothing comes twice.
 * `on.result(result)`: a GraphQL result. `on.live()`: connected. `on.waiting()`: not connected any more; it tries again.
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
      // A browser gives up at any answer other than 200, such as a proxy's 502 while the server is away.
      if (source.readyState !== EventSource.CLOSED) return
      clearTimeout(timer)
      timer = setTimeout(open, Math.min(longestDelay, firstDelay * 2 ** failures) * (0.5 + Math.random() / 2))
      failures += 1
    }
  }

  open()
  return {
    /** Behind which event it stands. */
    get position() {
      return position
    },
    close() {
      clearTimeout(timer)
      source.close()
    },
  }
}
