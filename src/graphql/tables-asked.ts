import { BREAK, type ExecutionArgs, TypeInfo, visit, visitWithTypeInfo } from 'graphql'
import { NEEDS_TABLES } from '../../schema/watched-tables.js'

/** Whether a valid document has a field with NEEDS_TABLES, in any of its operations and fragments. */
export function asksForTables({ schema, document }: Pick<ExecutionArgs, 'schema' | 'document'>): boolean {
  const info = new TypeInfo(schema)
  let asks = false
  visit(
    document,
    visitWithTypeInfo(info, {
      Field() {
        asks = info.getFieldDef()?.extensions[NEEDS_TABLES] === true
        return asks ? BREAK : undefined
      },
    }),
  )
  return asks
}
