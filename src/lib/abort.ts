import { setMaxListeners } from 'node:events'

/** Rejects with the signal's reason as soon as it aborts; otherwise settles as `promise` does. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  if (signal.aborted) {
    promise.catch(() => undefined) // its result is not used
    return Promise.reject(signal.reason)
  }
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Waits `ms` milliseconds, or until the signal aborts (it resolves in both cases). */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}

/** A delay that `wake` ends early. One at a time. */
export interface Timer {
  /** Resolves after `ms` milliseconds, or at the next `wake`. */
  wait(ms: number): Promise<void>
  wake(): void
}

export function createTimer(): Timer {
  let wake: () => void = () => undefined
  return {
    wait: ms =>
      new Promise<void>(resolve => {
        const done = () => {
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(done, ms)
        wake = done
      }),
    wake: () => wake(),
  }
}

/** A controller that ends a part of the server. Any number of waits may listen to its signal; Node would warn of more than ten. */
export function createStopController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
