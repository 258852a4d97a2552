import {
  type ASTVisitor,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  type GraphQLObjectType,
  getNamedType,
  isObjectType,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql'
import { CHANGES_OF, IS_RELATION, notInChanges } from '../relations.js'

/**
 * A validation rule: changes have no linked rows. A change shows a row as it was, and linked rows would be of another moment. For
 * servers that execute the schema; without the rule, such a field is an error when it is executed.
 */
export function relationsInChanges(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      if (operation.operation !== OperationTypeNode.SUBSCRIPTION) return
      const root = context.getSchema().getSubscriptionType()
      for (const field of fieldsOf(operation.selectionSet, context)) {
        const definition = root?.getFields()[field.name.value]
        const rowsField = definition?.extensions[CHANGES_OF]
        if (typeof rowsField === 'string') check(field, definition?.type, rowsField, new Set())
      }
    },
  }

  /** @param seen the pairs of type and selection that have been checked: a few fragments may lead to millions of fields */
  function check(field: FieldNode, type: unknown, rowsField: string, seen: Set<SelectionSetNode>): void {
    const named = getNamedType(type as GraphQLObjectType)
    if (!isObjectType(named) || !field.selectionSet || seen.has(field.selectionSet)) return
    seen.add(field.selectionSet)
    for (const inner of fieldsOf(field.selectionSet, context)) {
      const definition = named.getFields()[inner.name.value]
      if (!definition) continue // another rule reports it
      if (definition.extensions[IS_RELATION] === true) {
        const { code, message, hint } = notInChanges(inner.name.value, rowsField)
        context.reportError(new GraphQLError(message, { nodes: inner, extensions: { code, hint } }))
      } else check(inner, definition.type, rowsField, seen)
    }
  }
}

function fieldsOf(set: SelectionSetNode, context: ValidationContext): FieldNode[] {
  const fields: FieldNode[] = []
  const seen = new Set<FragmentDefinitionNode>()
  function walk({ selections }: SelectionSetNode): void {
    for (const node of selections) {
      if (node.kind === Kind.FIELD) fields.push(node)
      else if (node.kind === Kind.INLINE_FRAGMENT) walk(node.selectionSet)
      else {
        const fragment = context.getFragment(node.name.value)
        if (!fragment || seen.has(fragment)) continue
        seen.add(fragment)
        walk(fragment.selectionSet)
      }
    }
  }
  walk(set)
  return fields
}
