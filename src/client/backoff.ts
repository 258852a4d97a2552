/** Pauses between attempts to connect. */
export interface Backoff {
  /**
   * Resolves after a random time, so that clients of the same server do not all reconnect at once.
   * @param retries attempts that have failed since the last connection
   */
  readonly wait: (retries: number) => Promise<void>
  /** Ends the present pause. */
  cancel(): void
}

const SHORTEST_MS = 100
const FIRST_MS = 1_000
const LONGEST_MS = 10_000

export function createBackoff(): Backoff {
  let end = () => {}
  return {
    wait: retries =>
      new Promise(resolve => {
        const timer = setTimeout(
          resolve,
          SHORTEST_MS + Math.random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** retries),
        )
        end = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
    cancel: () => end(),
  }
}
