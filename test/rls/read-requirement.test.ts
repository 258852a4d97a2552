import { describe, expect, it } from 'vitest'
import type { TableRights } from '../../src/rls/privileges.js'
import { missingRight, missingRightOfStream } from '../../src/rls/read-requirement.js'
import { viewerOf } from '../support/viewers.js'
import { column, table } from '../support/watched-tables.js'

const STAFF = table('staff', [column('id', 'int4', { number: 1 }), column('name', 'text', { number: 3 })])
const ALL: TableRights = {
  relid: STAFF.relid,
  role: 'reader',
  exists: true,
  mayBeTaken: true,
  mayRead: true,
  columns: ['id', 'name'],
  numbers: [1, 3],
  allNumbers: [1, 3],
  hasRowSecurity: false,
}
const requirement = (...columns: string[]) => ({ viewer: viewerOf('reader'), table: STAFF, columns })

describe('a read requirement', () => {
  it.each<[columns: string[], more: Partial<TableRights>, message: string | undefined]>([
    [['id', 'name'], {}, undefined],
    [[], { numbers: [] }, undefined],
    [['id'], { exists: false, mayBeTaken: false }, 'the role of this token may not be used here'],
    [['id'], { mayBeTaken: false, mayRead: false }, 'the role of this token may not be used here'],
    [['id'], { mayRead: false, numbers: [] }, 'role reader may not read table staff'],
    [['id', 'name'], { numbers: [1] }, 'role reader may not read column name of table staff'],
    [['id', 'name'], { numbers: [], allNumbers: [3] }, 'table staff was altered or no longer exists'],
    [['salary'], {}, 'table staff was altered or no longer exists'],
    // The column `name` was dropped, and another column has its name now.
    [['name'], { columns: ['id', 'name'], numbers: [1, 4], allNumbers: [1, 4] }, 'table staff was altered or no longer exists'],
  ])('%j of a role with %j: %s', (columns, more, message) => {
    expect(missingRight(requirement(...columns), { ...ALL, ...more })?.message).toBe(message)
  }) // biome-ignore format: a table

  it('is not met once the table is gone', () => {
    expect(missingRight(requirement(), undefined)).toMatchObject({ code: 'SCHEMA_CHANGED' })
  })
})

describe('a stream', () => {
  it.each([
    [true, true, 'SCHEMA_CHANGED'],
    [true, false, undefined],
    [false, true, undefined],
    [false, false, undefined],
  ])('that sees all rows (%s) of a table with policies (%s): %s', (seesAll, hasRowSecurity, code) => {
    const held = { ...requirement('id'), seesAll }
    expect(missingRightOfStream(held, { ...ALL, hasRowSecurity })?.code).toBe(code)
    expect(missingRightOfStream(held, { ...ALL, hasRowSecurity, numbers: [] })?.code).toBe('FORBIDDEN')
  })
})
