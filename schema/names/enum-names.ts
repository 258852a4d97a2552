import type { WatchedTable } from '../../src/catalog/watched-table.js'
import { assignNames } from './assign-names.js'
import { isLegal, labelName } from './identifiers.js'

/** An enum of Postgres, told by its schema and name. */
export interface PostgresEnum {
  readonly schema: string
  readonly name: string
  /** At least one. */
  readonly labels: readonly string[]
}

/** What an enum is called in GraphQL. */
export interface EnumNames extends PostgresEnum {
  readonly type: string
  /** By the name of the value in GraphQL, in the order of the labels: the label. */
  readonly values: ReadonlyMap<string, string>
}

/** The enums that columns have, whole or in arrays. One without labels is left out: GraphQL has no such enums. */
export function enumsOf(tables: readonly WatchedTable[]): PostgresEnum[] {
  const enums = new Map<string, PostgresEnum>()
  for (const { category, baseType, enumSchema, enumLabels } of tables.flatMap(({ columns }) => columns)) {
    if (category !== 'enum' || !enumLabels?.length) continue
    const schema = enumSchema ?? 'public'
    const key = enumKey(schema, baseType)
    // Two columns can differ only if the catalogue changed between two looks at it.
    const labels = [...new Set([...(enums.get(key)?.labels ?? []), ...enumLabels])]
    enums.set(key, { schema, name: baseType, labels })
  }
  return [...enums.values()]
}

export function enumKey(schema: string | undefined, name: string): string {
  return JSON.stringify([schema ?? 'public', name])
}

/** Labels that are names of GraphQL are kept; the rules are told at `nameEverything`. */
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
