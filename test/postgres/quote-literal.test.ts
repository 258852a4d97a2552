import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { quoteLiteral } from '../../src/postgres/quote-literal.js'
import { sharedPostgres } from '../support/postgres.js'

let client: pg.Client
beforeAll(async () => {
  client = new pg.Client({ connectionString: sharedPostgres() })
  await client.connect()
})
afterAll(() => client?.end())

it.each(['on', 'off'])(
  'Postgres reads a literal as its text, with standard_conforming_strings = %s',
  async how => {
    await client.query(`set standard_conforming_strings = ${how}; set escape_string_warning = off`)
    const text = fc.string({
      unit: fc.constantFrom('$', 'q', '0', "'", '\\', '"', 'a', ' ', ';', '\n', '🐘'),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 20, maxLength: 20 }), async given => {
        const { rows } = await client.query({
          text: `select ${given.map(quoteLiteral).join(',')}`,
          rowMode: 'array',
        })
        expect(rows[0]).toEqual(given)
      }),
    )
  },
)
