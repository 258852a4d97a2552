import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OPTION_LIST } from '../../src/config/index.js'
import { patience } from '../../src/config/quantity-types.js'

/** Returns the values that a message suggests: the words after "such as" or "must have a unit:". */
function suggested(message: string): string[] {
  const [, list = ''] = /(?:such as|must have a unit:) ([^;]+)$/.exec(message) ?? []
  return list
    .replace(/, (in quotes|without path.*)$/, '')
    .split(/, | or /)
    .filter(Boolean)
}

function refusal(parse: (text: string) => unknown, text: string): string | undefined {
  try {
    parse(text)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

describe('a value that an error message suggests', () => {
  const types = [...OPTION_LIST.map(({ flag, type }) => [flag, type] as const), ['wait', patience] as const]
  it.each(types)('is valid for --%s', (_flag, type) => {
    const texts = fc.oneof(
      fc.constantFrom(
        '?',
        '',
        '0',
        '1',
        '24',
        '-1',
        '1.5',
        '500ms',
        '512KiB',
        '999999h',
        'a b',
        'x://',
        '/?',
      ),
      fc.nat(10 ** 7).map(String),
      fc.string({ maxLength: 8 }),
    )
    fc.assert(
      fc.property(texts, text => {
        for (const one of suggested(refusal(type.parse, text) ?? ''))
          expect(refusal(type.parse, one)).toBeUndefined()
      }),
    )
  })

  it('occurs in the messages of more than 25 options', () => {
    const flags = OPTION_LIST.filter(({ type }) => suggested(refusal(type.parse, '-1') ?? '').length > 0)
    expect(flags.length).toBeGreaterThan(25)
  })
})

it('no option accepts a duration without a unit', () => {
  const durations = OPTION_LIST.filter(({ type }) => type.placeholder === 'DURATION')
  expect(durations.length).toBeGreaterThan(10)
  for (const { type, toml } of durations) {
    expect(refusal(type.parse, '24')).toMatch(/^must have a unit: /)
    expect(
      refusal(() => type.fromToml(24), ''),
      toml,
    ).toMatch(/^must have a unit: .*, in quotes$/)
  }
})
