import { readFileSync } from 'node:fs'
import { expect, expectTypeOf, it } from 'vitest'
import type { Settings } from '../../src/config/index.js'
import type { OptionValues } from '../../src/config/options.js'
import { settingsInterface, TARGET } from './settings-interface.js'

it('Settings says of each option what its help says', () => {
  expect(readFileSync(TARGET, 'utf8'), 'npm run docs').toBe(settingsInterface())
  expectTypeOf<Settings>().toEqualTypeOf<OptionValues>()
})
