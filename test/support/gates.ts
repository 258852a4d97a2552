import { createDeferred, type Deferred } from '../../src/lib/deferred.js'

/** Holds asynchronous work until a test releases it. */
export interface Gates {
  pass(): Promise<void>
  /** Releases the oldest held work. @returns false if no work is held */
  readonly open: () => boolean
}

export function createGates(): Gates {
  const waiting: Deferred[] = []
  return {
    pass() {
      const gate = createDeferred()
      waiting.push(gate)
      return gate.promise
    },
    open() {
      const gate = waiting.shift()
      gate?.resolve()
      return gate !== undefined
    },
  }
}
