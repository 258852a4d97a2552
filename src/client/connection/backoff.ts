/** Pauses between attempts to connect. */
export interface Backoff {
  /**
   * By default, resolves after a random time, so that clients of the same server do not all reconnect at once.
   * @param retries attempts that have failed since the last connection
   */
  readonly wait: (retries: number) => Promise<void>
  /** Ends the present pause. */
  cancel(): void
  /** The next pause ends at once. */
  skipNext(): void
}

const SHORTEST_MS = 100
const FIRST_MS = 1_000
const LONGEST_MS = 10_000

/** @param wait the application's own pauses. Default: a random time of up to a second, doubling to ten */
export function createBackoff(wait?: (retries: number) => Promise<void>): Backoff {
  let end = () => {}
  let isNextSkipped = false

  async function pause(retries: number): Promise<void> {
    if (isNextSkipped) {
      isNextSkipped = false
      return
    }
    await new Promise<void>((resolve, reject) => {
      if (wait) {
        end = resolve
        wait(retries).then(resolve, reject)
        return
      }
      const timer = setTimeout(
        resolve,
        SHORTEST_MS + Math.random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** retries),
      )
      end = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
  return {
    wait: pause,
    cancel: () => end(),
    skipNext() {
      isNextSkipped = true
    },
  }
}
