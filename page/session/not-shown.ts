import type { SubscriptionResult } from '../../src/client/subscription/subscribing-client.js'
import type { ResultError } from '../../src/client/subscription/subscription-error.js'

/** No JSON value of a jsonb column has this name, because Postgres has no text with a zero character. */
const NAME = '\0not shown'

/** Stands for a value that GraphQL cannot show, such as NaN. It is plain JSON, so that the stores can compare and keep it. */
export interface NotShown {
  readonly [NAME]: string
}

/** Why a value is not shown; undefined if it is an ordinary value. */
export function reasonOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !(NAME in value)) return undefined
  return String(value[NAME])
}

export const notShown = (why: string): NotShown => ({ [NAME]: why })

/** Puts a mark in place of each null for which the result has an error: else NaN would look like NULL. */
export function markNotShown<Result extends Pick<SubscriptionResult<unknown>, 'data' | 'errors'>>(
  result: Result,
): Result {
  if (result.data == null) return result
  for (const { path, message } of result.errors ?? []) mark(result.data, path ?? [], message)
  return result
}

function mark(data: unknown, path: NonNullable<ResultError['path']>, why: string): void {
  const last = path.at(-1)
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((value, part) => (value as Readonly<Record<string, unknown>> | null)?.[part], data)
  if (last === undefined || typeof parent !== 'object' || parent === null) return
  Object.assign(parent, { [last]: notShown(why) })
}
