/**
 * An iterator that never yields: graphql-ws iterates over it while delivery writes to the socket. It is small, since each idle
 * subscription has one.
 */
export class ExternalIterator implements AsyncIterableIterator<never> {
  readonly #onReturn: () => void
  #resolve: ((result: IteratorResult<never>) => void) | undefined
  #reject: ((error: unknown) => void) | undefined
  #end: { readonly error: unknown } | 'returned' | undefined

  /** @param onReturn called once, when it ends */
  constructor(onReturn: () => void = () => undefined) {
    this.#onReturn = onReturn
  }

  next(): Promise<IteratorResult<never>> {
    const end = this.#end
    if (!end) {
      return new Promise((resolve, reject) => {
        this.#resolve = resolve
        this.#reject = reject
      })
    }
    this.#end = 'returned'
    return end === 'returned' ? Promise.resolve(DONE) : Promise.reject(end.error)
  }

  /** Ends the iteration with an error. */
  fail(error: unknown): void {
    if (this.#end) return
    this.#end = this.#reject ? 'returned' : { error }
    this.#reject?.(error)
    this.#onReturn()
  }

  return(): Promise<IteratorResult<never>> {
    if (!this.#end) {
      this.#end = 'returned'
      this.#resolve?.(DONE)
      this.#onReturn()
    }
    this.#end = 'returned'
    return Promise.resolve(DONE)
  }

  async throw(error: unknown): Promise<IteratorResult<never>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }
