import { describe, expect, it } from 'vitest'
import type { LinkedColumns } from '../../src/filters/index.js'
import { isExact, localKey, remoteKey } from '../../src/live/link-key.js'
import type { TypeCategory } from '../../src/postgres/types.js'
import { column, image, table } from '../support/watched-tables.js'
import { customers, link, orders, products, toCustomer, toProduct } from './shop.js'

const customer = (id: string) => image(customers, `{"id":${id}}`)
const order = (more: string) => image(orders, `{"id":1,${more}}`)

describe('the key of a link', () => {
  it('is equal for equal values of different texts and types', () => {
    const local = localKey(toCustomer, order('"customer":1'))
    for (const text of ['1', '1.0', '1.00']) expect(remoteKey(toCustomer, customer(text))).toBe(local)
    expect(remoteKey(toCustomer, customer('1.01'))).not.toBe(local)
  })

  it('keeps every digit of integers that a number of JavaScript cannot hold', () => {
    const large = localKey(toCustomer, order('"customer":9007199254740993'))
    expect(remoteKey(toCustomer, customer('9007199254740993.0'))).toBe(large)
    expect(remoteKey(toCustomer, customer('9007199254740992'))).not.toBe(large)
  })

  it('does not exist if one of its values is NULL', () => {
    expect(localKey(toCustomer, order('"customer":null'))).toBeUndefined()
    expect(localKey(toProduct, order('"shop":"a","no":null'))).toBeUndefined()
    expect(localKey(toProduct, order('"shop":null,"no":1'))).toBeUndefined()
  })

  it('of several columns keeps them apart', () => {
    const two = table('two', [column('a', 'text', { notNull: true }), column('b')])
    const self = link(two, two, [
      ['a', 'a'],
      ['b', 'b'],
    ])
    const key = (a: string, b: string) => localKey(self, image(two, JSON.stringify({ a, b })))
    expect(key('x', 'yz')).not.toBe(key('xy', 'z'))
    expect(key('1:', 'x')).not.toBe(key('1', ':x'))
    expect(key('', '1:')).not.toBe(key('1:', ''))
  })

  it('of an enum label that is not known yet is that of any other such label, so that no change is missed', () => {
    const moods = table('moods', [column('mood', 'enum', { enumLabels: ['ok'], notNull: true })])
    const self = link(moods, moods, [['mood', 'mood']])
    expect(localKey(self, image(moods, '{"mood":"new"}'))).toBe(
      remoteKey(self, image(moods, '{"mood":"newer"}')),
    )
  })
})

describe('a link is exact', () => {
  const between = (local: TypeCategory, remote: TypeCategory, more: Partial<LinkedColumns> = {}) => {
    const from = table('from', [column('a', local)])
    const to = table('to', [column('b', remote)])
    return isExact(link(from, to, [['a', 'b']], more))
  }

  it.each([
    ['int2', 'int8'],
    ['int4', 'numeric'],
    ['numeric', 'int8'],
    ['float4', 'float8'],
    ['text', 'text'],
    ['uuid', 'uuid'],
    ['timestamptz', 'timestamptz'],
    ['enum', 'enum'],
  ] as const)('between %s and %s', (local, remote) => expect(between(local, remote)).toBe(true))

  it.each([
    ['citext', 'citext', 'the case of letters depends on the locale'],
    ['citext', 'text', 'the case of letters depends on the locale'],
    ['other', 'other', 'the equality of the type is not known'],
    ['json', 'json', 'jsonb has no key here'],
    ['composite', 'composite', 'composites have no key here'],
    ['numeric', 'float8', '0.10000000000000000001 becomes 0.1'],
    ['int8', 'float8', '9007199254740993 becomes 9007199254740992'],
    ['text', 'bpchar', 'spaces at the end do not count'],
    ['timestamptz', 'timestamp', 'the time zone of the session counts'],
    ['date', 'timestamp', 'their keys have different units'],
  ] as const)('not between %s and %s: %s', (local, remote, _reason) =>
    expect(between(local, remote)).toBe(false),
  )

  it('not between arrays', () => {
    const from = table('from', [column('a', 'int4', { isArray: true })])
    expect(isExact(link(from, from, [['a', 'a']]))).toBe(false)
  })

  it('not with an operator or a collation of a user', () => {
    expect(between('text', 'text', { operator: 'operator(public.===)' })).toBe(false)
    expect(between('text', 'text', { collation: 'public.ignores_case' })).toBe(false)
    expect(between('text', 'text', { collation: 'pg_catalog."C"' })).toBe(true)
  })

  it('only if all its columns are', () => {
    expect(isExact(toProduct)).toBe(true)
    const mixed = table('mixed', [column('shop', 'citext'), column('no', 'int4')])
    expect(
      isExact(
        link(mixed, products, [
          ['shop', 'shop'],
          ['no', 'no'],
        ]),
      ),
    ).toBe(false)
  })
})
