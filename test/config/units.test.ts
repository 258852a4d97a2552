import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../../src/config/units.js'

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    [' 3 S ', 3000],
  ])('are read as milliseconds: %s is %i', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  it.each(['10', '', 's', '-1s', '1d', '1.0005s', '1s2', '1e3ms', 'ten s', '99999999999999999h'])(
    'are refused if invalid: %j',
    text => {
      expect(parseDuration(text)).toBeUndefined()
    },
  )

  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), ms => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
    expect([1, 999, 1000, 90_000, 120_000, 7_200_000].map(formatDuration)).toEqual([
      '1ms',
      '999ms',
      '1s',
      '90s',
      '2m',
      '2h',
    ])
  })
})

describe('bytes', () => {
  it.each([
    ['1048576', 1_048_576],
    ['16MiB', 16 * 2 ** 20],
    ['8MB', 8_000_000],
    ['512 kib', 512 * 1024],
    ['1.5KiB', 1536],
    ['7B', 7],
  ])('are read from text: %s is %i', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  it.each(['', 'MiB', '-1', '1.5', '1 TB', '0.3B', '16M', '1MiB1', '99999999999999999'])(
    'are refused if invalid: %j',
    text => {
      expect(parseBytes(text)).toBeUndefined()
    },
  )

  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), bytes => {
        expect(parseBytes(formatBytes(bytes))).toBe(bytes)
      }),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.constantFrom('B', 'kB', 'KiB', 'MB', 'MiB', 'GB', 'GiB'),
        (n, unit) => {
          const bytes = parseBytes(`${n}${unit}`)!
          expect(parseBytes(formatBytes(bytes))).toBe(bytes)
        },
      ),
    )
    expect([1, 1024, 16 * 2 ** 20, 8_000_000, 1000].map(formatBytes)).toEqual([
      '1',
      '1KiB',
      '16MiB',
      '8MB',
      '1kB',
    ])
  })
})
