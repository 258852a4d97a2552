import type { GraphQLSchema } from 'graphql'
import { createBuilder } from './builder.js'
import { addChannels } from './channel.js'
import { addScalars } from './scalars.js'

/** Builds the whole schema. It is an ordinary one: any GraphQL server can execute it, given a SchemaContext. */
export function buildSchema(): GraphQLSchema {
  const builder = createBuilder()
  builder.queryType({})
  builder.mutationType({})
  builder.subscriptionType({})
  addScalars(builder)
  addChannels(builder)
  return builder.toSchema()
}
