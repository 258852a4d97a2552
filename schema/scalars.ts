import { GraphQLError, Kind, type ValueNode, valueFromASTUntyped } from 'graphql'
import type { Builder } from './builder.js'

export function addScalars(builder: Builder): void {
  builder.scalarType('DateTime', {
    description: 'A moment in ISO 8601, such as 2026-11-22T22:41:00.000Z.',
    serialize: value => value.toISOString(),
    parseValue: parseDateTime,
    parseLiteral: node => parseDateTime(node.kind === Kind.STRING ? node.value : undefined),
  })
  builder.scalarType('JSON', {
    description: 'Any JSON value.',
    serialize: value => value,
    parseValue: value => value,
    parseLiteral: (node: ValueNode) => valueFromASTUntyped(node),
  })
}

function parseDateTime(value: unknown): Date {
  const date = typeof value === 'string' ? new Date(value) : undefined
  if (!date || Number.isNaN(date.getTime()))
    throw new GraphQLError('a DateTime is a string in ISO 8601, such as "2026-11-22T22:41:00Z"')
  return date
}
