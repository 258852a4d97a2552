import type { ClientMemory, Hold } from '../../lib/limits/client-memory.js'
import type { InitialState } from '../../sources/initial-state.js'

interface Held {
  readonly hold: Hold
  subscribers: number
}

/** Copies of each event: the row, the text that is rendered of it, and the bytes into which the transport encodes the text. */
const COPIES = 3

const all = new WeakMap<InitialState<unknown>, Held>()

/**
 * Counts a state as memory while subscribers take it, once for all of them.
 * @param owner the client network of the subscriber, for which it counts if the subscriber is the first
 * @throws LimitExceeded if there is no room
 */
export function holdInitialState(
  memory: ClientMemory,
  state: InitialState<unknown>,
  owner: string | undefined,
): Pick<Hold, 'release'> {
  const known = all.get(state)
  const held = known ?? { hold: memory.hold(COPIES * state.bytes, owner), subscribers: 0 }
  if (!known) all.set(state, held)
  held.subscribers++
  let isReleased = false
  return {
    release() {
      if (isReleased) return
      isReleased = true
      if (--held.subscribers > 0) return
      all.delete(state)
      held.hold.release()
    },
  }
}
