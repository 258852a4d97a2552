import type { ExecutionResult } from 'graphql'

/**
 * If an error makes a non-nullable field null, the whole row or key becomes null, and `row: null` would tell a client to remove the
 * row. Then the result keeps only its errors.
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
