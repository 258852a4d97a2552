import type {
  ArgumentNode,
  DefinitionNode,
  DirectiveNode,
  DocumentNode,
  NamedTypeNode,
  SelectionNode,
  SelectionSetNode,
  TypeNode,
  ValueNode,
  VariableDefinitionNode,
} from 'graphql'

/**
 * Returns the text of a document of operations and fragments. graphql's own `print` also knows schemas, and would be half of a bundle
 * with `listenql/client`.
 */
export function printDocument({ definitions }: DocumentNode): string {
  return definitions.map(definition).join(' ')
}

function definition(node: DefinitionNode): string {
  if (node.kind === 'FragmentDefinition') return `fragment ${node.name.value}${condition(node)}${tail(node)}`
  if (node.kind !== 'OperationDefinition') return '' // of a schema: not a part of requests
  return `${node.operation} ${node.name?.value ?? ''}${list('(', node.variableDefinitions, variable, ')')}${tail(node)}`
}

function variable(node: VariableDefinitionNode): string {
  const initial = node.defaultValue ? ` = ${value(node.defaultValue)}` : ''
  return `$${node.variable.name.value}: ${type(node.type)}${initial}${tail(node)}`
}

function type(node: TypeNode): string {
  if (node.kind === 'NonNullType') return `${type(node.type)}!`
  return node.kind === 'ListType' ? `[${type(node.type)}]` : node.name.value
}

function condition(node: { readonly typeCondition?: NamedTypeNode | undefined }): string {
  return node.typeCondition ? ` on ${node.typeCondition.name.value}` : ''
}

/** What follows the names and arguments of a node. */
function tail(node: {
  readonly directives?: readonly DirectiveNode[] | undefined
  readonly selectionSet?: SelectionSetNode | undefined
}): string {
  const directives =
    node.directives?.map(each => ` @${each.name.value}${list('(', each.arguments, argument, ')')}`) ?? []
  return `${directives.join('')}${list(' {', node.selectionSet?.selections, selection, '}')}`
}

function selection(node: SelectionNode): string {
  if (node.kind === 'FragmentSpread') return `...${node.name.value}${tail(node)}`
  if (node.kind === 'InlineFragment') return `...${condition(node)}${tail(node)}`
  const alias = node.alias ? `${node.alias.value}: ` : ''
  return `${alias}${node.name.value}${list('(', node.arguments, argument, ')')}${tail(node)}`
}

function argument({ name, value: given }: Pick<ArgumentNode, 'name' | 'value'>): string {
  return `${name.value}: ${value(given)}`
}

function value(node: ValueNode): string {
  switch (node.kind) {
    case 'Variable':
      return `$${node.name.value}`
    case 'NullValue':
      return 'null'
    case 'ListValue':
      return `[${node.values.map(value).join(' ')}]`
    case 'ObjectValue':
      return `{${node.fields.map(argument).join(' ')}}`
    case 'StringValue':
      return JSON.stringify(node.value) // a GraphQL string has the escapes of JSON (https://spec.graphql.org/October2021/#sec-String-Value)
    default:
      return `${node.value}`
  }
}

function list<Node>(
  open: string,
  nodes: readonly Node[] | undefined,
  each: (node: Node) => string,
  close: string,
): string {
  return nodes?.length ? `${open}${nodes.map(each).join(' ')}${close}` : ''
}
