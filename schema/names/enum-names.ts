import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { assignNames } from './assign-names.js'
import { isLegal, labelName } from './identifiers.js'

/** An enum of Postgres, identified by its schema and name. */
export interface PostgresEnum {
  readonly schema: string
  readonly name: string
  /** One or more. */
  readonly labels: readonly string[]
}

/** The names of an enum in GraphQL. */
export interface EnumNames extends PostgresEnum {
  readonly type: string
  /** The labels by their names in GraphQL, in the order of the labels. */
  readonly values: ReadonlyMap<string, string>
}

/** The enums of columns, whole or in arrays, except those without labels: GraphQL has no such enums. */
export function enumsOf(tables: readonly WatchedTable[]): PostgresEnum[] {
  const enums = new Map<string, PostgresEnum>()
  for (const { category, baseType, enumSchema, enumLabels } of tables.flatMap(({ columns }) => columns)) {
    if (category !== 'enum' || !enumLabels?.length) continue
    const schema = enumSchema ?? 'public'
    const key = enumKey(schema, baseType)
    // Two columns can differ only if the catalogue changed while it was read.
    const labels = [...new Set([...(enums.get(key)?.labels ?? []), ...enumLabels])]
    enums.set(key, { schema, name: baseType, labels })
  }
  return [...enums.values()]
}

export function enumKey(schema: string | undefined, name: string): string {
  return JSON.stringify([schema ?? 'public', name])
}

/** Keeps labels that are valid names in GraphQL; `nameEverything` describes the rules. */
export function nameLabels(type: PostgresEnum, name: string, warn: (message: string) => void): EnumNames {
  const names = assignNames(
    type.labels.map(label => ({
      item: label,
      wanted: labelName(label),
      brings: value => [value],
      rank: [labelName(label) === label ? 0 : 1, label],
    })),
    [],
  )
  for (const [label, value] of names)
    if (value !== label)
      warn(
        `label ${JSON.stringify(label)} is ${value} in GraphQL${isLegal(label) ? ', which has no such value' : ''}`,
      )
  return {
    ...type,
    type: name,
    values: new Map(type.labels.map(label => [names.get(label) as string, label])),
  }
}
