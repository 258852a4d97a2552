import { isObject } from '../is-object.js'

/**
 * Structural sharing of JSON values: returns `next` with every part that `previous` has, too, replaced by that part, and `previous`
 * itself if all is equal. So a component that compares by identity is rendered only for what has changed. An object in a list is found
 * wherever it was in the previous list.
 */
export function share<Value>(previous: unknown, next: Value): Value {
  if (!isObject(previous) || !isObject(next) || Array.isArray(previous) !== Array.isArray(next)) return next
  return (
    Array.isArray(next) ? shareList(previous as unknown as unknown[], next) : shareObject(previous, next)
  ) as Value
}

function shareList(previous: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  let byText: ReadonlyMap<string, unknown> | undefined
  const shared = next.map((element, i) => {
    const inPlace = share(previous[i], element)
    if (!isObject(element) || inPlace === previous[i]) return inPlace
    byText ??= new Map(previous.map(each => [JSON.stringify(each), each]))
    return byText.get(JSON.stringify(element)) ?? inPlace
  })
  return isSameList(previous, shared) ? previous : shared
}

function shareObject(previous: object, next: object): object {
  const before = previous as Record<string, unknown>
  const shared = Object.entries(next).map(([name, value]) => [name, share(before[name], value)] as const)
  const isSame =
    shared.length === Object.keys(before).length &&
    shared.every(([name, value]) => Object.hasOwn(before, name) && value === before[name])
  return isSame ? previous : Object.fromEntries(shared)
}

/** Whether both lists have the same elements, by identity. */
export function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((element, i) => element === other[i])
}
