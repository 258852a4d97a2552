import { type GraphQLSchema, parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { buildSchema } from '../../schema/index.js'
import { ANONYMOUS, type Viewer } from '../../src/auth/viewer.js'
import { groupKey } from '../../src/graphql/group-key.js'
import type { Params } from '../../src/graphql/operation.js'
import { EventSource, type Topic } from '../../src/sources/source.js'
import { column, table } from '../support/watched-tables.js'

const schema: GraphQLSchema = buildSchema({ tables: [table('people', [column('id', 'int4')])] })
const QUERY = 'subscription { peopleChanged { operation } }'

function keyOf(
  query: string,
  params: Partial<Pick<Params, 'operationName' | 'variables' | 'viewer'>> = {},
  { kind = 'table', audience }: { kind?: Topic['kind']; audience?: string } = {},
): string {
  const source = new EventSource<unknown>(
    { kind, name: 'people' },
    { open: async () => () => undefined, live: async () => undefined, audience },
  )
  return groupKey({ schema, document: parse(query) }, { viewer: ANONYMOUS, ...params }, source)
}

const viewer = (role: string, claims: Viewer['claims'] = {}): Viewer => ({ ...ANONYMOUS, role, claims })

describe('subscriptions share a group', () => {
  it.each([
    ['layout', 'subscription {\n\n peopleChanged {operation } # as above\n}'],
    ['the start position', 'subscription { peopleChanged(after: "x") { operation } }'],
  ])('if they differ in %s', (_what, query) => {
    expect(keyOf(query)).toBe(keyOf(QUERY))
  })

  it('if they differ in variables that do not matter', () => {
    const query = 'subscription S($at: String) { peopleChanged(after: $at) { operation } }'
    const key = keyOf(query, { operationName: 'S', variables: { at: 'x', other: 1 } })
    expect(keyOf(query, { operationName: 'S', variables: { at: 'y' } })).toBe(key)
    expect(
      keyOf('subscription S { peopleChanged { operation } }', { operationName: 'S', variables: {} }),
    ).toBe(key)
  })

  it('if the role decides, whatever the claims are', () => {
    const [one, other] = [viewer('web', { sub: '1' }), viewer('web', { sub: '2' })]
    expect(keyOf(QUERY, { viewer: one }, { kind: 'channel' })).toBe(
      keyOf(QUERY, { viewer: other }, { kind: 'channel' }),
    )
    expect(keyOf(QUERY, { viewer: one }, { audience: 'same' })).toBe(
      keyOf(QUERY, { viewer: other }, { audience: 'same' }),
    )
  })
})

describe('subscriptions do not share a group', () => {
  it.each([
    ['fields', 'subscription { peopleChanged { operation at } }'],
    ['names of fields', 'subscription { changed: peopleChanged { operation } }'],
    ['other arguments', 'subscription { peopleChanged(operations: [INSERT]) { operation } }'],
  ])('if they differ in %s', (_what, query) => {
    expect(keyOf(query)).not.toBe(keyOf(QUERY))
  })

  it('if they differ in a variable that is used', () => {
    const query = 'subscription ($yes: Boolean!) { peopleChanged { operation @include(if: $yes) } }'
    expect(keyOf(query, { variables: { yes: true } })).not.toBe(keyOf(query, { variables: { yes: false } }))
  })

  it('if they differ in the operation', () => {
    const query = 'subscription A { peopleChanged { at } } subscription B { peopleChanged { operation } }'
    expect(keyOf(query, { operationName: 'A' })).not.toBe(keyOf(query, { operationName: 'B' }))
  })

  it('if their viewers may see different rows', () => {
    const web = viewer('web', { sub: '1' })
    expect(keyOf(QUERY, { viewer: web })).not.toBe(keyOf(QUERY, { viewer: viewer('web', { sub: '2' }) }))
    expect(keyOf(QUERY, { viewer: web }, { kind: 'channel' })).not.toBe(
      keyOf(QUERY, { viewer: viewer('other') }, { kind: 'channel' }),
    )
    expect(keyOf(QUERY, {}, { audience: 'one' })).not.toBe(keyOf(QUERY, {}, { audience: 'other' }))
  })
})
