import { type DocumentNode, GraphQLError, Kind, type OperationDefinitionNode } from 'graphql'

/** Most names that an error lists. */
const MAX_NAMES = 10

/** The error for a valid document without an operation to execute, with a remedy. */
export function missingOperation(
  { definitions }: DocumentNode,
  operationName: string | undefined,
): GraphQLError {
  const names = definitions
    .filter((one): one is OperationDefinitionNode => one.kind === Kind.OPERATION_DEFINITION)
    .map(({ name }) => name?.value)
  return new GraphQLError(reasonOf(names, operationName), {
    extensions: { code: 'OPERATION_RESOLUTION_FAILURE' },
  })
}

function reasonOf(names: readonly (string | undefined)[], operationName: string | undefined): string {
  const named = names.filter(name => name !== undefined)
  const more = named.length > MAX_NAMES ? ', …' : ''
  const list = `${named.slice(0, MAX_NAMES).join(', ')}${more}`
  if (names.length === 0) return 'The document has no operation.'
  if (operationName === undefined)
    return `The document has several operations (${list}); choose one with "operationName".`
  if (named.length === 0)
    return `The document's operation has no name: leave out "operationName", which is ${JSON.stringify(operationName)}.`
  return `The document has no operation named ${JSON.stringify(operationName)}; it has ${list}.`
}
