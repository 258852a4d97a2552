import { describe, expect, it } from 'vitest'
import { ANONYMOUS } from '../../../src/auth/viewer.js'
import { createFilterAccounts } from '../../../src/transport/limits/filter-accounts.js'

const viewer = (sub: string) => ({ ...ANONYMOUS, role: 'user', claims: { sub } })

function setUp(rate: number) {
  let time = 5000
  const accounts = createFilterAccounts(
    () => rate,
    () => time,
  )
  return {
    accounts,
    pass: (ms: number) => {
      time += ms
    },
  }
}

describe('the budget of a viewer for filters', () => {
  it('is the rate each second, with a burst of twice as much', () => {
    const { accounts, pass } = setUp(1000)
    const account = accounts.open(viewer('ann'), 'here')
    account.pay(1999)
    expect(account.refusal()).toBe(undefined)
    account.pay(501) // Work that has begun is paid in full.
    expect(account.refusal()).toMatchObject({ code: 'LIMIT_EXCEEDED', limit: 'filterRate', max: 1000 })
    expect(account.refusal()?.hint).toContain('--filter-rate')
    pass(500)
    expect(account.refusal()).toBeDefined()
    pass(1)
    expect(account.refusal()).toBe(undefined)
    account.pay(100)
    pass(60_000)
    for (let i = 0; i < 41; i++) account.pay(50) // The burst does not grow with a longer pause.
    expect(account.refusal()).toBe(undefined)
    account.pay(100)
    expect(account.refusal()).toBeDefined()
  })

  it('is shared by all connections of a viewer, and a new connection does not renew it', () => {
    const { accounts } = setUp(1000)
    const first = accounts.open(viewer('ann'), 'here')
    const second = accounts.open(viewer('ann'), 'elsewhere')
    const other = accounts.open(viewer('bob'), 'here')
    first.pay(3000)
    expect([second.refusal() === undefined, other.refusal() === undefined]).toEqual([false, true])
    first.close()
    second.close()
    expect(accounts.open(viewer('ann'), 'here').refusal()).toBeDefined()
  })

  it('belongs to the address if the viewer is anonymous', () => {
    const { accounts } = setUp(1000)
    accounts.open(ANONYMOUS, '203.0.113.7').pay(3000)
    expect(accounts.open(ANONYMOUS, '203.0.113.7').refusal()).toBeDefined()
    expect(accounts.open(ANONYMOUS, '203.0.113.8').refusal()).toBe(undefined)
  })

  it('is dropped once it is full again, for any number of viewers', () => {
    const { accounts, pass } = setUp(1000)
    const kept = accounts.open(viewer('kept'), 'here')
    for (let i = 0; i < 20_000; i++) {
      const account = accounts.open(viewer(`${i}`), 'here')
      account.pay(10)
      account.close()
      pass(1)
    }
    // The budgets of the last two seconds, and as many that have expired but not been removed yet.
    expect(accounts.size).toBeLessThan(3000)
    kept.pay(100)
    kept.pay(3000)
    expect(accounts.open(viewer('kept'), 'here').refusal()).toBeDefined()
  })
})
