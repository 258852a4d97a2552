/** Memory of the changes that all windows of a server hold back, in bytes. */
export interface WindowBudget {
  /** @returns false: no room, so that the window delivers early */
  change(by: number): boolean
}

/** Default limit: beyond it, windows deliver early, and nothing is lost. */
const MAX_HELD_BYTES = 64 * 2 ** 20

export function createWindowBudget(max = MAX_HELD_BYTES): WindowBudget {
  let held = 0
  return {
    change(by) {
      held += by
      return held <= max
    },
  }
}
