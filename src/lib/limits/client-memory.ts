import { LimitExceeded } from './limit-exceeded.js'

/**
 * Counts what all clients together make the server hold: requests and documents, which are refused when there is no room, and
 * what waits to be sent, which cannot be refused any more. In bytes, estimated where V8 does not say.
 */
export interface ClientMemory {
  /** Of requests and documents. */
  readonly held: number
  /** Of what waits to be sent. */
  readonly waiting: number
  /** Most of both together. */
  readonly max: number
  /**
   * @param owner who holds it (an address), and of whose share it is; undefined: several
   * @param shared bytes that are of the owner's share, too, but counted elsewhere, for all who share them
   * @throws LimitExceeded if there is no room
   */
  hold(bytes: number, owner?: string, shared?: number): Hold
  /** More, or less, waits. Nothing is refused: the listener of `onOver` is called. */
  wait(bytes: number): void
  /** @param listener called whenever more waits and is held than may be: something that waits has to go. Replaces the former one */
  onOver(listener: () => void): void
}

/** Something that is held. */
export interface Hold {
  /** @throws LimitExceeded if there is no room for so much more; then it is as before */
  resize(bytes: number): void
  /** Idempotent. */
  release(): void
}

/** Requests and documents may take this part of all: the rest is there for what waits, however many documents there are. */
const HELD_PART = 1 / 2
/** … and those of one address this part: it may not take all that others need. */
const ADDRESS_PART = 1 / 4

export function createClientMemory(max: number): ClientMemory {
  let tellOver: () => void = () => undefined
  const owners = new Map<string, number>()
  let held = 0
  let waiting = 0

  /** @throws LimitExceeded, only if it is to be more */
  function change(by: number, owner: string | undefined, shared: number): void {
    const share = owner === undefined ? 0 : (owners.get(owner) ?? 0) + by + shared
    if (by > 0 && (held + by > max * HELD_PART || held + waiting + by > max)) throw noRoom(max)
    if (by + shared > 0 && share > max * ADDRESS_PART) throw shareTaken(max)
    held += by
    if (owner === undefined) return
    if (share > 0) owners.set(owner, share)
    else owners.delete(owner)
  }

  /** A class, since each idle subscription has one. */
  class OneHold implements Hold {
    #bytes: number
    readonly #owner: string | undefined
    readonly #shared: number
    #isOpen = true

    constructor(bytes: number, owner: string | undefined, shared: number) {
      change(bytes, owner, shared)
      this.#bytes = bytes
      this.#owner = owner
      this.#shared = shared
    }

    resize(bytes: number): void {
      if (!this.#isOpen) return
      change(bytes - this.#bytes, this.#owner, 0)
      this.#bytes = bytes
    }

    release(): void {
      if (!this.#isOpen) return
      this.#isOpen = false
      change(-this.#bytes, this.#owner, -this.#shared)
    }
  }

  return {
    max,
    get held() {
      return held
    },
    get waiting() {
      return waiting
    },
    hold: (bytes, owner, shared = 0) => new OneHold(bytes, owner, shared),
    wait(bytes) {
      waiting += bytes
      if (bytes > 0 && held + waiting > max) tellOver()
    },
    onOver(listener) {
      tellOver = listener
    },
  }
}

function noRoom(max: number): LimitExceeded {
  return new LimitExceeded(
    'maxClientMemory',
    max,
    'All clients together have more open than the server has memory for.',
    'try again later; --max-client-memory on the server sets the limit',
  )
}

function shareTaken(max: number): LimitExceeded {
  return new LimitExceeded(
    'maxClientMemory',
    max,
    'The requests and subscriptions of your address take more than their share of the memory for all clients.',
    'ask with fewer or shorter documents and variables; --max-client-memory on the server sets the limit',
  )
}
