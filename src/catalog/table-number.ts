import type { WatchedTable } from './watched-table.js'

const numbers = new WeakMap<WatchedTable, number>()
let count = 0

/** A number that no other table has, for keys of caches. A table that was altered is another object and has another number. */
export function tableNumber(table: WatchedTable): number {
  let number = numbers.get(table)
  if (number === undefined) {
    number = ++count
    numbers.set(table, number)
  }
  return number
}
