import { expect, it } from 'vitest'
import { printInstallSql } from '../../src/log/install.js'
import { readMigrations } from '../../src/log/migration-files.js'

it('SQL is ASCII, because a database in another encoding refuses characters that it lacks, even in a comment', () => {
  for (const { version, sql } of readMigrations()) {
    const [odd] = /[^\t\n\x20-\x7e].*/.exec(sql) ?? []
    expect([version, odd]).toEqual([version, undefined])
  }
  expect(printInstallSql({ grantTo: 'live' })).toMatch(/^[\t\n\x20-\x7e]*$/)
})
