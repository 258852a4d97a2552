import { ListenqlError } from './errors.js'
import { Fifo } from './fifo.js'

/** A bounded queue between a callback and an async iterator. */
export interface EventQueue<T> {
  readonly push: (value: T) => void
  /** Ends the iteration with an error, after the waiting values have been read. */
  readonly fail: (error: Error) => void
  readonly iterator: AsyncIterableIterator<T>
  /** Called once when the reader returns or the queue overflows. */
  onReturn(callback: () => void): void
}

/**
 * Unlike an async generator, `return()` ends it even while a `next()` is waiting.
 * @param limit values that may wait; one more ends the iteration with a ListenqlError SUBSCRIBER_TOO_SLOW,
 * after the waiting values have been read
 */
export function createEventQueue<T>(limit: number): EventQueue<T> {
  const values = new Fifo<T>()
  const readers: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = []
  let ended = false
  let failure: Error | undefined
  let cleanUp: (() => void) | undefined

  const end = () => {
    ended = true
    for (const reader of readers.splice(0)) reader.resolve({ done: true, value: undefined })
    cleanUp?.()
    cleanUp = undefined
  }
  const iterator: AsyncIterableIterator<T> = {
    next() {
      if (values.size > 0) return Promise.resolve({ done: false, value: values.shift() as T })
      if (failure) {
        const error = failure
        failure = undefined
        return Promise.reject(error)
      }
      if (ended) return Promise.resolve({ done: true, value: undefined })
      return new Promise((resolve, reject) => readers.push({ resolve, reject }))
    },
    return() {
      values.clear()
      failure = undefined
      end()
      return Promise.resolve({ done: true, value: undefined })
    },
    throw(error) {
      values.clear()
      end()
      return Promise.reject(error)
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return {
    push(value) {
      if (ended) return
      const reader = readers.shift()
      if (reader) return reader.resolve({ done: false, value })
      if (values.size < limit) {
        values.push(value)
        return
      }
      failure = new ListenqlError(
        'SUBSCRIBER_TOO_SLOW',
        `the reader of this subscription is too slow: ${limit} events were waiting for it`,
      )
      end()
    },
    fail(error) {
      if (ended) return
      const reader = readers.shift()
      if (reader) reader.reject(error)
      else failure = error
      end()
    },
    iterator,
    onReturn(callback) {
      cleanUp = callback
      if (ended) end()
    },
  }
}
