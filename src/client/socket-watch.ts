/** What is needed of a WebSocket, whoever made it. */
interface Socket {
  readonly readyState: number
  onmessage: unknown
  onerror: unknown
  close(): void
}

const CONNECTING_STATE = 0

/** Notices connections that have died without a word: behind a NAT that forgot them, after a laptop slept. */
export interface SocketWatch {
  /** A socket starts connecting. */
  readonly created: (socket: unknown) => void
  /** The server has answered. */
  readonly heard: () => void
  /** Something came: one that sends a burst is not dead, though its pong is behind it. */
  readonly received: () => void
  /** A ping of ours left. */
  readonly asked: () => void
  /** The connection is lost. */
  readonly gone: () => void
  /** The connection was given up: what it may still bring comes over the next one, too. */
  silence(): void
}

export interface SocketWatchOptions {
  /** From connecting to the acknowledgement, in ms. */
  readonly connectTimeout: number
  /** From a ping to whatever comes next, in ms. */
  readonly pongTimeout: number
  /** Gives up a socket that is open. */
  terminate(): void
}

export function createSocketWatch({
  connectTimeout,
  pongTimeout,
  terminate,
}: SocketWatchOptions): SocketWatch {
  let socket: Socket | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let isAsked = false

  function expect(within: number): void {
    clearTimeout(timer)
    timer = setTimeout(() => {
      // `terminate` takes away `onerror`, without which `ws` throws when connecting is given up.
      if (socket?.readyState === CONNECTING_STATE) return socket.close()
      terminate()
      silence()
    }, within)
  }
  function rest(): void {
    clearTimeout(timer)
    isAsked = false
  }
  function silence(): void {
    rest()
    if (!socket) return
    socket.onmessage = null
    socket.onerror = () => undefined
  }
  return {
    created(created) {
      socket = created as Socket
      isAsked = false
      expect(connectTimeout)
    },
    heard: rest,
    received() {
      if (isAsked) expect(pongTimeout)
    },
    asked() {
      isAsked = true
      expect(pongTimeout)
    },
    gone: rest,
    silence,
  }
}

/** The same WebSocket class, with each new instance shown to `created`. @param webSocketImpl left alone if it is no class */
export function withWatchedSockets(webSocketImpl: unknown, created: (socket: unknown) => void): unknown {
  if (typeof webSocketImpl !== 'function') return webSocketImpl
  return new Proxy(webSocketImpl, {
    construct(target, args) {
      const socket: object = Reflect.construct(target, args)
      created(socket)
      return socket
    },
  })
}
