import { LimitExceeded } from './limit-exceeded.js'

/**
 * Counts the memory that all clients together use: requests and documents, which are refused when there is no room, and data that
 * waits to be sent, which cannot be refused any more. In bytes, estimated where V8 does not tell.
 */
export interface ClientMemory {
  /** Memory of requests and documents. */
  readonly held: number
  /** Memory of data that waits to be sent. */
  readonly waiting: number
  /** Most of both together. Setting it ends nothing that is open: waiting data above it is dropped when more data waits. */
  max: number
  /**
   * @param owner the address that it counts for, and whose share it uses; undefined: several addresses
   * @param shared bytes that use the owner's share, too, but are counted elsewhere, once for all owners
   * @throws LimitExceeded if there is no room
   */
  hold(bytes: number, owner?: string, shared?: number): Hold
  /** More, or less, data waits. It is never refused: the listener of `onOver` is called. */
  wait(bytes: number): void
  /**
   * @param listener called whenever the limit is exceeded: some of the waiting data has to be dropped. Replaces the previous
   * listener
   */
  onOver(listener: () => void): void
}

/** A part of the memory that is in use. */
export interface Hold {
  /** @throws LimitExceeded if there is no room for the increase; then nothing changes */
  resize(bytes: number): void
  /** Idempotent. */
  release(): void
}

/** Part of the memory for requests and documents: the rest is for waiting data, however many documents there are. */
const HELD_PART = 1 / 2
/** … and the part for those of one address, so that it cannot use up the memory of the others. */
const ADDRESS_PART = 1 / 4

export function createClientMemory(most: number): ClientMemory {
  let max = most
  let tellOver: () => void = () => undefined
  const owners = new Map<string, number>()
  let held = 0
  let waiting = 0

  /** @throws LimitExceeded, only if `by` is positive */
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
    get max() {
      return max
    },
    set max(bytes) {
      max = bytes
    },
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
    'use fewer or shorter documents and variables; --max-client-memory on the server sets the limit',
  )
}
