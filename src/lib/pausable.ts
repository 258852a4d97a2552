import { createDeferred, type Deferred } from './deferred.js'

/** Something that can be stopped for a while. */
export interface Pausable {
  /** Idempotent. */
  pause(): void
  resume(): void
  /** Resolves when it goes on; undefined: it is not paused. */
  resumed(): Promise<void> | undefined
}

export function createPausable(): Pausable {
  let paused: Deferred | undefined
  return {
    pause() {
      paused ??= createDeferred()
    },
    resume() {
      paused?.resolve()
      paused = undefined
    },
    resumed: () => paused?.promise,
  }
}
