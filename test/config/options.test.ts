import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OPTION_LIST } from '../../src/config/index.js'
import { patience } from '../../src/config/quantity-types.js'

/** What a message names as right: the words after "such as" or "must have a unit:". */
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

describe('what an error message suggests is taken', () => {
  const types = [...OPTION_LIST.map(({ flag, type }) => [flag, type] as const), ['wait', patience] as const]
  it.each(types)('--%s', (_flag, type) => {
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

  it('is found in messages', () => {
    const flags = OPTION_LIST.filter(({ type }) => suggested(refusal(type.parse, '-1') ?? '').length > 0)
    expect(flags.length).toBeGreaterThan(25)
  })
})

it('takes no duration without a unit, anywhere', () => {
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
