import type { ResumingSink, SubscribingClient, SubscriptionPayload } from '../../src/client/index.js'

/** One subscription of a scripted client. */
export interface ScriptedSubscription {
  readonly payload: SubscriptionPayload
  readonly sink: Required<ResumingSink<unknown>>
  hasLeft: boolean
  /** Delivers a change of the field `peopleChanged`. */
  change(operation: string, fields?: Record<string, unknown>): void
  /** Marks the end of a transaction. */
  end(): void
  /** Delivers these rows as READ, then READY. */
  rows(...ids: readonly number[]): void
  /** Ends it with an error of this code, or delivers the error instead of a change. */
  error(code: string, extensions?: Record<string, unknown>, how?: 'ends' | 'instead of a change'): void
}

/** A client whose subscriptions do what a test tells them. */
export interface ScriptedClient extends SubscribingClient {
  readonly subscriptions: readonly ScriptedSubscription[]
  /** The last of them. */
  readonly last: ScriptedSubscription
}

export function createScriptedClient(): ScriptedClient {
  const subscriptions: ScriptedSubscription[] = []
  return {
    subscriptions,
    get last() {
      return subscriptions.at(-1) as ScriptedSubscription
    },
    subscribe(payload, sink) {
      const send = (data: unknown, errors?: readonly { readonly message: string }[]) =>
        sink.next({ data, ...(errors && { errors }) } as Parameters<typeof sink.next>[0])
      const subscription: ScriptedSubscription = {
        payload,
        sink: sink as Required<ResumingSink<unknown>>,
        hasLeft: false,
        change: (operation, fields = {}) =>
          send({ peopleChanged: { operation, key: null, row: null, transaction: '', ...fields } }),
        end: () => sink.next({ extensions: { transactionEnd: true } } as Parameters<typeof sink.next>[0]),
        rows(...ids) {
          for (const id of ids) subscription.change('READ', { key: { id }, row: { id } })
          subscription.change('READY')
        },
        error(code, extensions = {}, how = 'ends') {
          const errors = [{ message: `the error ${code}`, extensions: { code, ...extensions } }]
          if (how === 'ends') sink.error(errors)
          else send(null, errors)
        },
      }
      subscriptions.push(subscription)
      return () => {
        subscription.hasLeft = true
      }
    },
  }
}
