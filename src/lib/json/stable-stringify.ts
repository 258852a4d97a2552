import { stringifyExactJson } from './exact-json.js'

/** JSON text in which the order of an object's keys makes no difference: equal values have equal texts. */
export function stableStringify(value: unknown): string {
  return stringifyExactJson(value, true)
}
