import { type FieldNode, type GraphQLObjectType, type GraphQLResolveInfo, getArgumentValues } from 'graphql'
import { ListenqlError } from '../../src/lib/errors.js'
import { stableStringify } from '../../src/lib/json/stable-stringify.js'

/** Arguments as graphql-js has coerced them. */
export type Arguments = Readonly<Record<string, unknown>>

/**
 * The arguments of fields that are merged under one response key. They are equal, except below two aliases of `rows`, which are read
 * once.
 * @param typeName of the object that has the fields
 * @throws ListenqlError ARGUMENT_INVALID if they differ
 */
export function mergedArguments(
  typeName: string,
  nodes: readonly FieldNode[],
  { schema, variableValues }: Pick<GraphQLResolveInfo, 'schema' | 'variableValues'>,
): Arguments {
  const type = schema.getType(typeName) as GraphQLObjectType
  const all = nodes.map(node => {
    const definition = type.getFields()[node.name.value]
    return definition ? getArgumentValues(definition, node, variableValues) : {}
  })
  const [first = {}] = all
  const isSame = (args: Arguments, i: number) =>
    stableStringify(args) === stableStringify(first) && nodes[i]?.name.value === nodes[0]?.name.value
  if (all.every(isSame)) return first
  const name = nodes[0]?.alias?.value ?? nodes[0]?.name.value
  throw new ListenqlError(
    'ARGUMENT_INVALID',
    `${name}: the rows are selected twice, with different relations of this name`,
    { hint: 'select `rows` once, or use an alias for the relation' },
  )
}
