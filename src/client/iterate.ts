import type { Sink } from 'graphql-ws/client'

/**
 * The results of a subscription as an async iterator. It subscribes at once, like graphql-ws's own `iterate`, and keeps
 * results until they are read. `return()` unsubscribes and drops them.
 */
export function iterate<Result>(
  subscribe: (sink: Sink<Result>) => () => void,
): AsyncIterableIterator<Result, undefined> {
  let waiting: Result[] = []
  let left = false
  let end: { readonly error?: unknown } | undefined
  let wake = () => {}
  const leave = subscribe({
    next(result) {
      waiting.push(result)
      wake()
    },
    error(error) {
      end = { error }
      wake()
    },
    complete() {
      end = {}
      wake()
    },
  })
  async function* read(): AsyncGenerator<Result, undefined> {
    for (;;) {
      const batch = waiting
      waiting = []
      for (const result of batch) {
        if (left) return undefined
        yield result
      }
      if (waiting.length > 0) continue
      if (left) return undefined
      if (end && 'error' in end) throw end.error
      if (end) return undefined
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
  }
  const results = read()
  const stop = () => {
    left = true
    leave()
    wake()
  }
  return {
    next: () => results.next(),
    async return() {
      stop()
      return { done: true, value: undefined }
    },
    async throw(error) {
      stop()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
