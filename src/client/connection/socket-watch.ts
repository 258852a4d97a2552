/** The part of a WebSocket that is used here, in any implementation. */
interface Socket {
  readonly readyState: number
  onmessage: unknown
  onerror: unknown
  close(): void
}

const CONNECTING_STATE = 0

/** Detects connections that have died silently: the NAT has forgotten them, or the laptop slept. */
export interface SocketWatch {
  /** A socket starts connecting. */
  readonly created: (socket: unknown) => void
  /** The server has acknowledged the connection. */
  readonly heard: () => void
  /** A message arrived: a server that sends a burst is alive, even if its pong comes later. */
  readonly received: () => void
  /** Whether a ping of this client has no answer yet. */
  readonly isAsked: boolean
  /** This client has sent a ping. */
  readonly asked: () => void
  /** The connection is lost. */
  readonly gone: () => void
  /** The connection was abandoned: the next one repeats whatever it may still deliver. */
  silence(): void
}

export interface SocketWatchOptions {
  /** From connecting to the acknowledgement, in ms. */
  readonly connectTimeout: number
  /** From a ping to the next message of any kind, in ms. */
  readonly pongTimeout: number
  /** Abandons an open socket. */
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
      // `terminate` removes `onerror`, and without it `ws` throws if connecting is abandoned.
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
    get isAsked() {
      return isAsked
    },
    asked() {
      isAsked = true
      expect(pongTimeout)
    },
    gone: rest,
    silence,
  }
}

/**
 * The same WebSocket class, which passes each new instance to `created`.
 * @param webSocketImpl returned unchanged if it is not a class
 */
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
