import { applyChange } from '../../src/client/index.js'
import type { TestSubscription } from './clients.js'
import { codeOf, dataOf } from './graphql-request.js'
import { waitUntil } from './wait.js'

/** A change as documents of these tests select it: `operation cursor key { id } row { … }`. */
export interface CopiedChange {
  readonly operation: string
  readonly cursor: string
  readonly key: { readonly id: number } | null
  readonly row: Readonly<Record<string, unknown>> | null
  readonly old?: Readonly<Record<string, unknown>> | null
}

/** The rows that a client has, kept up to date by the changes that it takes. */
export class CopiedRows {
  readonly rows = new Map<number, unknown>()
  /** The operations of the changes that it has taken. */
  readonly operations: string[] = []
  /** The cursor of the last one. */
  cursor: string | undefined

  take(change: CopiedChange): void {
    applyChange(this.rows, change, ({ id }) => id)
    this.operations.push(change.operation)
    this.cursor = change.cursor
  }

  /** Takes the next change. @throws if an error arrives instead */
  async takeNext({ results }: TestSubscription): Promise<CopiedChange> {
    const result = await results.next(`a change after ${this.operations.join(' ')}`)
    const change = Object.values(dataOf(result))[0] as CopiedChange
    this.take(change)
    return change
  }

  /** Takes changes up to the next one with this operation. */
  async takeUpTo(operation: string, subscription: TestSubscription): Promise<void> {
    while ((await this.takeNext(subscription)).operation !== operation);
  }

  /** Takes changes until the rows are equal to those that `read` returns. */
  async becomes(subscription: TestSubscription, read: () => Promise<readonly { readonly id: number }[]>) {
    await waitUntil(async () => {
      for (const result of subscription.results.drain()) {
        if (codeOf(result) !== undefined) throw new Error(JSON.stringify(result))
        this.take(Object.values(dataOf(result))[0] as CopiedChange)
      }
      return this.text === textOf(await read())
    }, 'the copy to equal the table')
  }

  get text(): string {
    return textOf([...this.rows.values()] as { id: number }[])
  }
}

function textOf(rows: readonly { readonly id: number }[]): string {
  return JSON.stringify(rows.toSorted((a, b) => a.id - b.id))
}
