import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decimalOf, isExactNumber } from '../../../src/lib/json/decimal-text.js'

describe('decimalOf', () => {
  it('gives equal numbers equal parts, whatever their notation', () => {
    const notations = ['1500', '1500.0', '1.5e3', '15E+2', '0.15e4', '150000e-2', '1500.000e0']
    for (const text of notations) expect(decimalOf(text)).toEqual({ sign: '', digits: '15', exponent: 2 })
    for (const text of ['0', '-0', '0.00', '0e5', '-0.0e-9'])
      expect(decimalOf(text)).toEqual({ sign: '', digits: '', exponent: 0 })
    expect(decimalOf('-0.00120')).toEqual({ sign: '-', digits: '12', exponent: -4 })
  })

  it('loses no digit', () => {
    const number = fc.tuple(
      fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n }),
      fc.integer({ min: -400, max: 400 }),
    )
    fc.assert(
      fc.property(number, ([digits, power]) => {
        const found = decimalOf(`${digits}e${power}`)
        const scale = BigInt(found.exponent - power)
        expect(BigInt(`${found.sign}${found.digits || '0'}`) * (digits === 0n ? 1n : 10n ** scale)).toBe(
          digits,
        )
      }),
    )
  })

  it('takes a million zeros in a row without a pause', () => {
    const zeros = '0'.repeat(1_000_000)
    expect(decimalOf(`0.1${zeros}1`).digits).toHaveLength(1_000_002)
    expect(decimalOf(`1${zeros}`)).toEqual({ sign: '', digits: '1', exponent: 1_000_000 })
  })
})

describe('isExactNumber', () => {
  it.each(['0', '-0', '1.50', '1e3', '9007199254740992', '0.1', '1.7976931348623157e308', '5e-324'])(
    '%s is',
    text => {
      expect(isExactNumber(text)).toBe(true)
    },
  )

  it.each(['9007199254740993', '1e400', '-1e400', '1e-400', '0.1000000000000000055511151231257827'])(
    '%s is not',
    text => {
      expect(isExactNumber(text)).toBe(false)
    },
  )

  it('any double, as JavaScript writes it', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), number =>
        isExactNumber(String(number)),
      ),
    )
  })
})
