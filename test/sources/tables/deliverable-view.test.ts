import { describe, expect, it } from 'vitest'
import { createImageReader, parseFilter, Work } from '../../../src/filters/index.js'
import { LimitExceeded } from '../../../src/lib/limits/limit-exceeded.js'
import type { LogEvent } from '../../../src/log/log-event.js'
import { createChangeView } from '../../../src/sources/tables/change-view.js'
import type { ChangeSelection } from '../../../src/sources/tables/changes-request.js'
import { createDeliverableView } from '../../../src/sources/tables/deliverable-view.js'
import { PLAIN } from '../../support/cursors.js'
import { column } from '../../support/watched-tables.js'

const columns = [column('id', 'int4'), column('body', 'text')]
const row = createImageReader(columns)(JSON.stringify({ id: 1, body: 'a'.repeat(5000) }))
const position = { n: 1, token: 1, ord: 1, statement: 1, id: 1 }
const event = { kind: 't', operation: 'U', position } as LogEvent
const selection: ChangeSelection = {
  filter: parseFilter(new Map(columns.map(one => [one.name, one])), { body: { like: '%b%' } }),
  operations: undefined,
}
const images = { row, old: null }

/** Creates an account that records its payments. */
function createAccount(refusal?: LimitExceeded) {
  const paid: number[] = []
  return { paid, refusal: () => refusal, pay: (steps: number) => void paid.push(steps) }
}

describe('the view of a change whose policies read the table', () => {
  const tell = createDeliverableView(createChangeView(selection, PLAIN))
  const telling = { kind: 'images', images, wasThere: false } as const

  it('is filtered at the expense of the subscriber', () => {
    const account = createAccount()
    expect(tell(account, event, images, telling, new Work(1_000_000))).toBeUndefined()
    expect(account.paid).toEqual([expect.any(Number)])
    expect(account.paid[0]).toBeGreaterThan(0)
  })

  it('is an error if the filter exceeds the work limit or the account refuses', () => {
    expect(() => tell(createAccount(), event, images, telling, new Work(1))).toThrow(LimitExceeded)
    const refusal = new LimitExceeded('maxFilterWork', 1, 'too much')
    expect(() => tell(createAccount(refusal), event, images, telling, new Work(1_000_000))).toThrow(refusal)
  })

  it('of a removal contains the key alone, and costs no work', () => {
    const account = createAccount()
    expect(tell(account, event, images, { kind: 'removal' }, new Work(1))).toMatchObject({
      operation: 'UPDATE',
      key: row,
      row: null,
      old: null,
    })
    expect(account.paid).toEqual([])
  })
})
