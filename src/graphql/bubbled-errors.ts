import type { ExecutionResult } from 'graphql'

/**
 * An error where null may not be makes a whole row, or a key, null: `row: null` tells a client to remove the row. Then nothing of
 * the change is shown but the error.
 * @param result of a subscription to the changes of a table, which has one field
 */
export function withoutFalseRemoval(result: ExecutionResult): ExecutionResult {
  const isFalse = result.errors?.some(({ path: [field, part, ...below] = [] }) => {
    const change = result.data?.[field as string]
    return isRecord(change) && below.length > 0 && change[part as string] === null
  })
  return isFalse ? { ...result, data: null } : result
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
