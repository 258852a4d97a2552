import { expect, it } from 'vitest'
import { printInstallSql } from '../../src/log/install.js'
import { readMigrations } from '../../src/log/migration-files.js'

it('SQL is ASCII: a database of another encoding would refuse a character that it lacks, in a comment as well', () => {
  for (const { version, sql } of readMigrations()) {
    const [odd] = /[^\t\n\x20-\x7e].*/.exec(sql) ?? []
    expect([version, odd]).toEqual([version, undefined])
  }
  expect(printInstallSql({ grantTo: 'live' })).toMatch(/^[\t\n\x20-\x7e]*$/)
})
