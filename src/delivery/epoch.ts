import { abortable } from '../lib/abort.js'
import type { InitialState, InitialStateReader } from '../sources/initial-state.js'
import type { EventSource } from '../sources/source.js'

/**
 * The time in which the source of a group has one history. Its subscribers that start over share one read of the state while it is in
 * progress, and one reset event for it, so that the group renders that once.
 */
export class Epoch {
  readonly #source: () => Pick<EventSource<unknown>, 'initialState'>
  readonly #signal: AbortSignal
  #reading: Promise<InitialState<unknown>> | undefined
  readonly #resets = new WeakMap<InitialState<unknown>, unknown>()

  /**
   * @param source the source under the present schema
   * @param signal aborts when no subscriber needs the state any more
   */
  constructor(source: () => Pick<EventSource<unknown>, 'initialState'>, signal: AbortSignal) {
    this.#source = source
    this.#signal = signal
  }

  /** The present state. @throws the errors of a snapshot, or the signal's reason */
  read(signal: AbortSignal): Promise<InitialState<unknown>> {
    this.#reading ??= this.#reader.read(this.#signal).finally(() => {
      this.#reading = undefined
    })
    return abortable(this.#reading, signal)
  }

  /** The event that says that everything before it no longer counts. The same for all subscribers that start over with a state. */
  resetFor(state: InitialState<unknown>): unknown {
    const reset = this.#resets.get(state) ?? this.#reader.reset()
    this.#resets.set(state, reset)
    return reset
  }

  startsOverAfter(error: unknown): boolean {
    return this.#source().initialState?.startsOverAfter(error) ?? false
  }

  get #reader(): InitialStateReader<unknown> {
    const { initialState } = this.#source()
    if (!initialState) throw new TypeError('the source has no initial state')
    return initialState
  }
}
