import { ListenqlError } from '../src/lib/errors.js'
import type { FilterRef } from './filter-type.js'
import type { OrderRef } from './order-by.js'
import { DEFAULT_ROWS } from './planning/plan-limits.js'
import type { Building } from './table-schema.js'

/** The arguments of a field that returns rows. @param parts.most the greatest `limit` */
export function rowsArguments(
  { builder }: Pick<Building, 'builder'>,
  {
    filter,
    order,
    most,
  }: { readonly filter: FilterRef; readonly order: OrderRef | undefined; readonly most: number },
) {
  return builder.args(arg => ({
    where: arg.field({ type: filter, description: 'Only rows that match.' }),
    ...(order && {
      orderBy: arg.field({
        type: [order],
        description:
          'Sorts rows by the first of these columns, equal rows by the second, and so on; finally by the primary key.',
      }),
    }),
    limit: arg.int({
      defaultValue: Math.min(DEFAULT_ROWS, most),
      description: `Most rows to return; at most ${most}.`,
    }),
    offset: arg.int({ defaultValue: 0, description: 'Number of rows to skip at the start.' }),
  }))
}

const DEFAULT_EVERY_MS = 50
const MAX_EVERY_MS = 3_600_000

/** The pace of a live query. */
export function everyArgument({ builder }: Pick<Building, 'builder'>) {
  return builder.args(arg => ({
    every: arg.int({
      defaultValue: DEFAULT_EVERY_MS,
      description:
        'Shortest time from one result to the next, in ms. A query that takes long is read less often: after ten times its duration.',
    }),
  })).every
}

/** @throws ListenqlError ARGUMENT_INVALID */
export function everyOf({ every }: { readonly every?: number | null | undefined }): number {
  const asked = every ?? DEFAULT_EVERY_MS
  if (asked >= 0 && asked <= MAX_EVERY_MS) return asked
  throw new ListenqlError('ARGUMENT_INVALID', `every: ${asked} is not between 0 and ${MAX_EVERY_MS} ms`)
}
