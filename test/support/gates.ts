import { createDeferred, type Deferred } from '../../src/lib/deferred.js'

/** Where asynchronous work waits until a test lets it go on. */
export interface Gates {
  pass(): Promise<void>
  /** Lets the oldest waiting work go on. @returns false if there is none */
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
