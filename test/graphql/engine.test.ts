import fc from 'fast-check'
import {
  type ExecutionResult,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isLeafType,
  isObjectType,
  parse,
  subscribe,
  validate,
} from 'graphql'
import { expect, it } from 'vitest'
import { buildSchema } from '../../schema/index.js'
import { ANONYMOUS } from '../../src/auth/viewer.js'
import { stringifyJson } from '../../src/filters/index.js'
import { createEngine } from '../../src/graphql/engine.js'
import { createClientErrors } from '../../src/graphql/errors.js'
import { formatResult } from '../../src/graphql/result.js'
import { encodePlain } from '../../src/log/position.js'
import { ChannelEvent } from '../../src/sources/channels/channel-event.js'
import { EventSource } from '../../src/sources/source.js'
import type { RowChange } from '../../src/sources/tables/row-change.js'
import { PLAIN } from '../support/cursors.js'
import { change, column, createFakeContext, image, table } from '../support/watched-tables.js'

const t = table('t', [
  column('id', 'int4', { notNull: true }),
  column('name', 'text'),
  column('height', 'float8'), // NaN and Infinity are errors, null here …
  column('weight', 'float8', { notNull: true }), // ... and in the nearest nullable parent there
  column('big', 'int8', { notNull: true }),
  column('doc', 'json'),
  column('at', 'timestamptz'),
  column('tags', 'text', { isArray: true }),
])
const schema: GraphQLSchema = buildSchema({ tables: [t] })

const float = fc.constantFrom('1.5', '-0', '"NaN"', '"Infinity"', '1e300')
const row = fc
  .record({
    id: fc.integer({ min: -9, max: 9 }).map(String),
    name: fc.option(fc.string({ unit: 'binary', maxLength: 5 })).map(text => JSON.stringify(text)),
    height: fc.oneof(float, fc.constant('null')),
    weight: float,
    big: fc.constantFrom('9007199254740993', '-1'),
    doc: fc.constantFrom('null', '{"a":[1,null]}', '"text"', '1e400'),
    at: fc.constantFrom('null', '"2026-11-22T22:41:00.123456+00:00"', '"infinity"'),
    tags: fc.constantFrom('null', '[]', '["a",null]', '[["a"],["b"]]'),
  })
  .map(cells => image(t, `{${Object.entries(cells).map(([name, json]) => `"${name}":${json}`)}}`))
const position = fc.record({
  n: fc.nat(99),
  token: fc.nat(99),
  ord: fc.nat(9),
  statement: fc.nat(9),
  id: fc.nat(999),
})
const rowChange: fc.Arbitrary<RowChange> = fc
  .tuple(fc.constantFrom('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'), position, fc.option(row), fc.option(row))
  .map(([operation, at, now, old]) =>
    change(operation as RowChange['operation'], {
      position: at,
      cursor: encodePlain(at),
      row: operation === 'TRUNCATE' ? null : now,
      old: operation === 'TRUNCATE' ? null : old,
      key: operation === 'TRUNCATE' ? null : (now ?? old),
    }),
  )
const channelEvent = fc
  .tuple(fc.option(fc.constantFrom('', 'text', '{"a":1}', '[1e999]', '"\\u0000"')), fc.boolean())
  .map(([payload, gap]) => new ChannelEvent('people', gap ? null : payload, { gap }))

const directive = fc.constantFrom(
  '',
  '',
  '',
  ' @include(if: true)',
  ' @include(if: $yes)',
  ' @skip(if: $yes)',
  ' @include(if: $no)',
)

/** A selection of the fields of a type; fragments are added to `fragments`. */
function selectionOf(type: GraphQLObjectType, fragments: string[], depth = 0): fc.Arbitrary<string> {
  const field = fc.constantFrom(...Object.values(type.getFields()), undefined).chain(one => {
    if (!one) return fc.constant('__typename')
    const named = getNamedType(one.type)
    const inner =
      isLeafType(named) || !isObjectType(named)
        ? fc.constant('')
        : selectionOf(named, fragments, depth + 1).map(text => ` { ${text} }`)
    // An alias for each selection set, because two sets under one name would conflict.
    return fc
      .tuple(inner, fc.boolean(), fc.nat(1e9))
      .map(([text, isAliased, number]) =>
        isAliased || text ? `${one.name}_${number}: ${one.name}${text}` : `${one.name}`,
      )
  })
  const part: fc.Arbitrary<string> = fc
    .tuple(field, directive)
    .map(([text, decides]) => decorate(text, decides))
  if (depth > 2) return fc.array(part, { minLength: 1, maxLength: 4 }).map(parts => parts.join(' '))
  const inline = fc
    .tuple(fc.boolean(), directive, fc.array(part, { minLength: 1, maxLength: 3 }))
    .map(
      ([isTyped, decides, parts]) =>
        `...${isTyped ? ` on ${type.name}` : ''}${decides} { ${parts.join(' ')} }`,
    )
  const spread = fc
    .tuple(directive, fc.array(part, { minLength: 1, maxLength: 3 }))
    .map(([decides, parts]) => {
      const name = `F${fragments.length}`
      fragments.push(`fragment ${name} on ${type.name} { ${parts.join(' ')} }`)
      return `...${name}${decides}`
    })
  return fc
    .array(fc.oneof({ weight: 4, arbitrary: part }, inline, spread), { minLength: 1, maxLength: 5 })
    .map(parts => parts.join(' '))
}

/** Inserts after the name and before the braces. */
function decorate(text: string, decides: string): string {
  const brace = text.indexOf(' {')
  return brace < 0 ? text + decides : text.slice(0, brace) + decides + text.slice(brace)
}

const subscriptionType = schema.getSubscriptionType() as GraphQLObjectType
function documentOf(field: string, args: string): fc.Arbitrary<string> {
  const type = getNamedType(subscriptionType.getFields()[field]?.type) as GraphQLObjectType
  return fc.constant(undefined).chain(() => {
    const fragments: string[] = []
    return fc
      .tuple(fc.constantFrom('', 'alias: '), selectionOf(type, fragments))
      .map(([alias, selection]) => {
        const used = fragments.filter(
          (_, i) => selection.includes(`...F${i}`) || fragments.some(text => text.includes(`...F${i}`)),
        )
        return `subscription ($yes: Boolean! = true, $no: Boolean! = false) { ${alias}${field}${args} { ${selection} always: __typename @include(if: $yes) @skip(if: $no) } } ${used.join(' ')}`
      })
  })
}

const toClientError = createClientErrors(observation => {
  if (observation.type !== 'client.error') throw new Error(JSON.stringify(observation)) // no error here may be our fault
})
const format = (result: ExecutionResult) =>
  JSON.parse(
    stringifyJson(
      formatResult(result.errors ? { ...result, errors: result.errors.map(toClientError) } : result),
    ),
  )

async function theOrdinaryWay(document: string, contextValue: object, count: number) {
  const results = await subscribe({
    schema,
    document: parse(document),
    contextValue: { ...contextValue, keepsJsonText: true },
  })
  if (!(Symbol.asyncIterator in results)) throw new Error(JSON.stringify(results))
  const all: unknown[] = []
  while (all.length < count) {
    const { value } = await results.next()
    if (!value) break
    all.push(format(value))
  }
  await results.return()
  return all
}

async function ourWay(document: string, contextValue: object) {
  const engine = createEngine({
    getEnveloped: () => ({ schema, parse: source => parse(source), validate }),
    contextFor: () => ({ ...contextValue, opensSources: true, keepsJsonText: true }),
    toClientError,
    schemaState: { isKnown: true, known: Promise.resolve(), unreached: () => undefined },
    cursors: PLAIN,
  })
  const prepared = await engine.prepare({ viewer: ANONYMOUS, query: document })
  if (prepared.kind !== 'subscription') throw new Error(JSON.stringify(prepared))
  const subscription = await prepared.subscribe()
  if (!('request' in subscription)) throw new Error(JSON.stringify(subscription))
  const { source, render } = subscription.request
  const all: unknown[] = []
  await source.open({ event: event => all.push(JSON.parse(render(event))), end: () => undefined })
  return all
}

it('the server sends what graphql-js sends for a table, event by event, with the position of each', async () => {
  await fc.assert(
    fc.asyncProperty(
      documentOf('tChanged', ''),
      fc.array(rowChange, { minLength: 1, maxLength: 4 }),
      async (document, changes) => {
        expect(validate(schema, parse(document))).toEqual([])
        const { context } = createFakeContext({ changes })
        const ordinary = await theOrdinaryWay(document, context, changes.length)
        const ours = await ourWay(document, context)
        const cursors = changes.map(({ cursor }) => cursor)
        expect(ours).toEqual(
          ordinary.map((result, i) => ({ ...(result as object), extensions: { cursor: cursors[i] } })),
        )
      },
    ),
    { numRuns: 300 },
  )
})

it('the server sends what graphql-js sends for a channel', async () => {
  await fc.assert(
    fc.asyncProperty(
      documentOf('channel', '(name: "people")'),
      fc.array(channelEvent, { minLength: 1, maxLength: 4 }),
      async (document, events) => {
        const { context } = createFakeContext()
        const channelSource = () =>
          new EventSource<ChannelEvent>(
            { kind: 'channel', name: 'people' },
            {
              async open(follower) {
                for (const event of events) follower.event(event)
                return () => undefined
              },
              live: () => Promise.resolve(),
              positionOf: event => event.position,
            },
          )
        const answers = { ...context, channelSource }
        expect(await ourWay(document, answers)).toEqual(
          await theOrdinaryWay(document, answers, events.length),
        )
      },
    ),
    { numRuns: 200 },
  )
})
