import { expect, it } from 'vitest'
import { errorEntries, errorTables } from './error-table.js'

it('the tables of errors in docs/graphql.md are made of the docstrings of the codes', () => {
  const { present, fresh } = errorTables()
  expect(present, 'npm run docs').toBe(fresh)
})

it('each code of an error says when it happens and what to do', () => {
  const entries = [...errorEntries('ErrorCodes'), ...errorEntries('RequestErrorCodes')]
  expect(entries.length).toBeGreaterThan(25)
  for (const { code, when, client } of entries) {
    expect(when, code).toMatch(/^[A-Z`].*\.$/)
    expect(client, code).toMatch(/^[A-Z].*\.$/)
    expect(`${when}${client}`, code).not.toContain('|')
  }
})
