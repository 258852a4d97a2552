import fc from 'fast-check'
import pg from 'pg'
import { expect, it } from 'vitest'
import { quoteLiteral } from '../../src/postgres/quote-literal.js'

it('literals are quoted as pg quotes them', () => {
  const text = fc.string({ unit: fc.constantFrom("'", '\\', '"', 'a', ' ', '\n', '🐘', '\ud800') })
  fc.assert(
    fc.property(text, given => {
      expect(quoteLiteral(given)).toBe(pg.escapeLiteral(given))
    }),
  )
})
