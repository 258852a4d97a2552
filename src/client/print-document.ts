import type {
  ArgumentNode,
  DefinitionNode,
  DirectiveNode,
  DocumentNode,
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
  if (node.kind === 'FragmentDefinition')
    return `fragment ${node.name.value} on ${node.typeCondition.name.value}${directives(node.directives)}${selections(node.selectionSet)}`
  if (node.kind !== 'OperationDefinition')
    throw new TypeError(`a request cannot contain ${node.kind}: pass a document of operations and fragments`)
  const name = node.name ? ` ${node.name.value}` : ''
  return `${node.operation}${name}${list('(', node.variableDefinitions, variable, ')')}${directives(node.directives)}${selections(node.selectionSet)}`
}

function variable(node: VariableDefinitionNode): string {
  const initial = node.defaultValue ? ` = ${value(node.defaultValue)}` : ''
  return `$${node.variable.name.value}: ${type(node.type)}${initial}${directives(node.directives)}`
}

function type(node: TypeNode): string {
  if (node.kind === 'NonNullType') return `${type(node.type)}!`
  return node.kind === 'ListType' ? `[${type(node.type)}]` : node.name.value
}

function selections(node: SelectionSetNode | undefined): string {
  return list(' {', node?.selections, selection, '}')
}

function selection(node: SelectionNode): string {
  if (node.kind === 'FragmentSpread') return `...${node.name.value}${directives(node.directives)}`
  if (node.kind === 'InlineFragment') {
    const on = node.typeCondition ? ` on ${node.typeCondition.name.value}` : ''
    return `...${on}${directives(node.directives)}${selections(node.selectionSet)}`
  }
  const alias = node.alias ? `${node.alias.value}: ` : ''
  return `${alias}${node.name.value}${list('(', node.arguments, argument, ')')}${directives(node.directives)}${selections(node.selectionSet)}`
}

function argument({ name, value: given }: Pick<ArgumentNode, 'name' | 'value'>): string {
  return `${name.value}: ${value(given)}`
}

function directives(nodes: readonly DirectiveNode[] = []): string {
  return nodes.map(node => ` @${node.name.value}${list('(', node.arguments, argument, ')')}`).join('')
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
      return String(node.value)
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
