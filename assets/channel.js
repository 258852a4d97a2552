import { refusal, socketUrl } from './endpoint.js'

const firstDelay = 500
const longestDelay = 15_000
// After a connection that lasted this long, or delivered a payload, the next failure starts from the first delay again.
const goodAfter = 5_000

const reasons = {
  1001: 'the server is stopping',
  1012: 'the server lost its database connection',
  1013: 'this page read too slowly',
}

/**
 * Listens to one channel over a WebSocket, and reconnects after a growing, random delay when the connection ends.
 * `on.status(state, text)`: state is 'connecting', 'listening', 'waiting', 'refused' or 'off'; text is the message to display.
 * `on.payload(text)`: one notification. `on.gap()`: notifications may have been missed from here on.
 */
export function createChannel(name, on) {
  let socket
  let timer
  let failures = 0

  function open() {
    clearTimeout(timer)
    timer = undefined
    const current = new WebSocket(socketUrl(name))
    let openedAt
    socket = current
    current.onopen = () => {
      openedAt = Date.now()
      on.status('listening', 'Listening')
    }
    current.onmessage = event => {
      failures = 0
      on.payload(String(event.data))
    }
    current.onclose = async event => {
      if (openedAt === undefined) {
        // A browser does not tell a page why a handshake failed (it only reports 1006), so ask over HTTP.
        const why = await refusal(name)
        if (socket !== current) return
        if (why.final) end('refused', why.text)
        else retry(`${why.text} Trying again…`, false)
      } else if (socket === current) {
        on.gap()
        if (Date.now() - openedAt >= goodAfter) failures = 0
        const reason = reasons[event.code] || event.reason || 'the connection was lost'
        // 1012 means that the server is up and only its database connection was lost: reconnect at once, the first time.
        retry(`Interrupted: ${reason}. Trying again…`, event.code === 1012 && failures === 0)
      }
    }
  }

  function retry(text, atOnce) {
    const delay = Math.min(longestDelay, firstDelay * 2 ** failures) * (0.5 + Math.random() / 2)
    failures += 1
    on.status('waiting', text)
    timer = setTimeout(open, atOnce ? 0 : delay)
  }

  // The network is back: do not wait for the rest of the delay.
  function online() {
    if (timer !== undefined) open()
  }

  function connect() {
    if (socket !== undefined) return
    failures = 0
    addEventListener('online', online)
    on.status('connecting', 'Connecting…')
    open()
  }

  function end(state, text) {
    removeEventListener('online', online)
    clearTimeout(timer)
    timer = undefined
    socket = undefined
    on.status(state, text)
  }

  function disconnect() {
    const current = socket
    if (current === undefined) return
    current.onmessage = null
    current.onopen = null
    current.close(1000)
    end('off', 'Disconnected')
  }

  return { connect, disconnect }
}
