import { describe, expect, it } from 'vitest'
import { indexKeys } from '../../../src/filters/index.js'
import { plainClaimsOf } from '../../../src/rls/conditions/plain-claims.js'
import type { ClaimCast, PolicyCondition } from '../../../src/rls/conditions/policy-condition.js'
import { createRowCondition } from '../../../src/rls/conditions/viewer-condition.js'
import { column, image, table } from '../../support/watched-tables.js'

const UUID = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'
const TABLE = table('items', [
  column('owner', 'text'),
  column('n', 'int4'),
  column('s', 'int2'),
  column('b', 'int8'),
  column('u', 'uuid'),
])
const columnOf = (name: string) => TABLE.columns.find(one => one.name === name) as (typeof TABLE.columns)[0]
const equals = (name: string, cast: ClaimCast = 'text'): PolicyCondition => ({
  kind: 'equals',
  column: columnOf(name),
  claim: 'c',
  cast,
})

/** Whether a row with this value is shown to a viewer with this claim, as JSON; undefined: the database is asked. */
function sees(name: string, cast: ClaimCast, claim: string, value: string): boolean | undefined {
  const condition = createRowCondition(equals(name, cast), [columnOf(name)]).of(`{"c":${claim}}`)
  return condition?.sees(image(TABLE, `{"${name}":${value}}`))
}

describe('the claims of a viewer', () => {
  it.each([
    '{"c":"\\u0000"}',
    '{"c":"ann","x":["\\ud800"]}',
    '{"c":"ann","\\u00e9":1}',
    '{"c":"ann","x":1e400}',
    `{"c":"ann","x":1${'0'.repeat(40)}1}`,
    '{"c":-0}',
    '{"c":"ann","x":[{"y":1.0}]}',
    `{"c":"ann","x":${'['.repeat(60)}${']'.repeat(60)}}`,
    `{"c":"ann","x":${'['.repeat(6000)}${']'.repeat(6000)}}`,
    '[]',
    'null',
    '{',
  ])('leave the decision to the database if it may fail to read them: %s', claims => {
    expect(plainClaimsOf(claims)).toBeUndefined()
    expect(createRowCondition({ kind: 'constant', value: true }, []).of(claims)).toBeUndefined()
  })

  it.each([
    ['"ann"', 'ann'],
    ['""', ''],
    ['"a\\"b\\\\\\n"', 'a"b\\\n'],
    ['"\u{1d4b3}"', '\u{1d4b3}'],
    ['null', null],
    ['true', 'true'],
    ['42', '42'],
    ['-9007199254740991', '-9007199254740991'],
    ['9007199254740993', '9007199254740993'],
    ['-123456789012345678901', '-123456789012345678901'],
    ['9007199254740992', undefined],
    ['1.5', undefined],
    ['1e+21', undefined],
    ['{}', undefined],
    ['["ann"]', undefined],
  ])('are texts where json and jsonb have the same one: %s', (json, text) => {
    expect(plainClaimsOf(`{"c":${json}}`)?.text('c')).toBe(text)
  })

  it('are NULL if they are missing, also with names of JavaScript', () => {
    const claims = plainClaimsOf('{"__proto__":"x"}')
    expect(['c', 'constructor', 'toString', '__proto__'].map(name => claims?.text(name))).toEqual([
      null,
      null,
      null,
      'x',
    ])
  })
})

describe('a column equals a claim', () => {
  it.each<[string, ClaimCast, string, string, boolean | undefined]>([
    ['owner', 'text', '"ann"', '"ann"', true],
    ['owner', 'text', '"ann"', '"ann "', false],
    ['owner', 'text', '"\u00e9"', '"e\u0301"', false],
    ['owner', 'text', '"ann"', 'null', false],
    ['owner', 'text', 'null', 'null', false],
    ['owner', 'text', '""', '""', true],
    ['owner', 'text', '42', '"42"', true],
    ['owner', 'text', '{}', '"{}"', undefined],
    ['u', 'uuid', `"${UUID}"`, `"${UUID}"`, true],
    ['u', 'uuid', `"${UUID.toUpperCase()}"`, `"${UUID}"`, true],
    ['u', 'uuid', `"{${UUID}}"`, `"${UUID}"`, undefined],
    ['u', 'uuid', `" ${UUID}"`, `"${UUID}"`, undefined],
    ['u', 'uuid', `"${UUID.replaceAll('-', '')}"`, `"${UUID}"`, undefined],
    ['u', 'uuid', '""', `"${UUID}"`, undefined],
    ['u', 'uuid', 'null', `"${UUID}"`, false],
    ['u', 'text', `"${UUID}"`, `"${UUID}"`, true],
    ['u', 'text', `"${UUID.toUpperCase()}"`, `"${UUID}"`, false],
    ['u', 'text', '"x"', `"${UUID}"`, false],
    ['n', 'integer', '"7"', '7', true],
    ['n', 'integer', '7', '7', true],
    ['n', 'integer', '"-7"', '-7', true],
    ['n', 'integer', '"8"', '7', false],
    ['n', 'integer', '"07"', '7', undefined],
    ['n', 'integer', '"+7"', '7', undefined],
    ['n', 'integer', '" 7"', '7', undefined],
    ['n', 'integer', '"-0"', '0', undefined],
    ['n', 'integer', '"2147483647"', '2147483647', true],
    ['n', 'integer', '"2147483648"', '7', undefined],
    ['n', 'bigint', '"2147483648"', '7', false],
    ['n', 'smallint', '"32768"', '32768', undefined],
    ['n', 'bigint', '"9223372036854775808"', '7', undefined],
    ['n', 'bigint', '"99999999999999999999"', '7', undefined],
    ['s', 'integer', '"32768"', '7', false],
    ['b', 'bigint', '"9007199254740993"', '9007199254740993', true],
    ['b', 'bigint', '"9007199254740993"', '9007199254740992', false],
    ['b', 'integer', '"7"', '7', true],
    ['n', 'text', '"7"', '7', true],
    ['n', 'text', '"07"', '7', false],
    ['n', 'text', '"-0"', '0', false],
    ['b', 'text', '"9223372036854775808"', '7', false],
    ['b', 'text', '"9007199254740993"', '9007199254740993', true],
  ])('%s as %s: claim %s, value %s', (...[name, cast, claim, value, expected]) =>
    expect(sees(name, cast, claim, value)).toBe(expected)) // biome-ignore format: a table
})

describe('a condition', () => {
  const either: PolicyCondition = {
    kind: 'or',
    conditions: [{ kind: 'constant', value: true }, equals('n', 'integer')],
  }

  it('leaves the decision to the database if any part does, since Postgres may evaluate them in any order', () => {
    const condition = createRowCondition(either, [columnOf('n')])
    expect(condition.of('{"c":"x"}')).toBeUndefined()
    expect(condition.of('{"c":"1"}')?.sees(image(TABLE, '{"n":2}'))).toBe(true)
  })

  it('hides a row in which a column that policies read is unreadable, whatever the others are', () => {
    const broken = image(TABLE, '{"n":null,"owner":"ann","":{"n":5000}}')
    const seen = (name: string) =>
      createRowCondition(either, [columnOf(name)])
        .of('{}')
        ?.sees(broken)
    expect([seen('owner'), seen('n')]).toEqual([true, false])
  })

  it('of a claim alone decides for the viewer', () => {
    const condition = createRowCondition({ kind: 'claim', claim: 'c', value: 'admin' }, [])
    const row = image(TABLE, '{}')
    expect(
      ['"admin"', '"Admin"', 'null', '1'].map(claim => condition.of(`{"c":${claim}}`)?.sees(row)),
    ).toEqual([true, false, false, false])
    expect(condition.of('{"c":{}}')).toBeUndefined()
  })

  it('gives an index the value that the column must have', () => {
    const found = createRowCondition(
      { kind: 'and', conditions: [equals('owner'), { kind: 'or', conditions: [equals('owner')] }] },
      [],
    ).of('{"c":"ann"}')
    expect(found && indexKeys(found.filter)).toEqual([{ column: 'owner', keys: new Set(['ann']) }])
  })

  it('is the same for equal claims, and never for others', () => {
    const condition = createRowCondition(equals('owner'), [])
    const row = image(TABLE, '{"owner":"ann"}')
    for (let i = 0; i < 12_000; i++) {
      const own = condition.of(`{"c":"${i % 6000 === 0 ? 'ann' : i}"}`)
      expect(own?.sees(row)).toBe(i % 6000 === 0)
    }
    expect(condition.of('{"c":"x"}')).toBe(condition.of('{"c":"x"}'))
  })
})
