import { expect, it } from 'vitest'
import { checkChoice, type TableChoice } from '../../../src/commands/shared/table-choice.js'

it.each<[string, TableChoice, string, string | undefined]>([
  [
    'nothing',
    { tables: [] },
    'listenql watch needs the name of a table, a pattern, --schema or --all',
    'see listenql watch --help',
  ],
  [
    'patterns that leave out tables only',
    { tables: ['!chat.draft'] },
    'the patterns only say which tables are left out',
    `say from which tables: listenql watch --all '!chat.draft'`,
  ],
  [
    'a malformed pattern',
    { tables: ['people', 'chat.[a'] },
    `the pattern 'chat.[a' has a bracket or brace that is not closed or holds an impossible range`,
    `patterns are written as people, 'chat.*', '!chat.draft' or 'chat."Mixed Case"'`,
  ],
])('%s is refused', (_, choice, message, hint) => {
  let error: unknown
  try {
    checkChoice('watch', choice)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ code: 'BAD_CONFIGURATION', message, hint })
})

it.each<[TableChoice]>([
  [{ tables: [], all: true }],
  [{ tables: ['!a'], all: true }],
  [{ tables: ['!a'], schemas: ['s'] }],
  [{ tables: ['a', '!b'] }],
])('%j is a choice', choice => {
  expect(() => checkChoice('watch', choice)).not.toThrow()
})
