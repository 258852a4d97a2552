import type { AggregateNode, LiveDocument, Measure, RowsNode } from './document.js'
import { canonical, cutAverage, shown } from './values.js'

type Data = Readonly<Record<string, unknown>>

/** A result of a server in the form of the model: numbers that may have several texts have their canonical one. */
export function canonicalData({ roots }: LiveDocument, data: object): object {
  return Object.fromEntries(
    roots.map(root => {
      const value = (data as Data)[root.alias] as Data
      return [
        root.alias,
        root.kind === 'rows' ? { rows: list(root, value.rows as Data[]) } : aggregate(root, value),
      ]
    }),
  )

  function list(node: RowsNode, rows: readonly Data[]): Data[] {
    return rows.map(row => one(node, row))
  }

  function one({ columns, children }: Pick<RowsNode, 'columns' | 'children'>, row: Data): Data {
    return Object.fromEntries([
      ...columns.map(column => [column.name, text(column, row[column.name], shown)]),
      ...children.map(child => {
        const value = row[child.alias]
        if (child.kind === 'rows') return [child.alias, list(child, value as Data[])]
        if (child.kind === 'aggregate') return [child.alias, aggregate(child, value as Data)]
        return [child.alias, value === null ? null : one(child, value as Data)]
      }),
    ])
  }

  function aggregate({ measures, groups }: AggregateNode, value: Data): Data {
    const main = measured(measures, value)
    if (!groups) return main
    const shownGroups = (value.groups as readonly Data[]).map(group => {
      const key = group.key as Data
      return {
        key: Object.fromEntries(
          groups.by.map(column => [column.name, text(column, key[column.name], canonical)]),
        ),
        ...measured(groups.measures, group),
      }
    })
    return { ...main, groups: shownGroups }
  }

  function measured(measures: readonly Measure[], value: Data): Data {
    const result: Record<string, unknown> = {}
    for (const measure of measures) {
      if (measure.function === 'count') result.count = value.count
      else {
        const { function: of, column } = measure
        const fields = (result[of] ?? {}) as Record<string, unknown>
        result[of] = fields
        const found = (value[of] as Data)[column.name]
        const number = { type: 'numeric' } as const
        fields[column.name] =
          of === 'avg'
            ? text(number, found, (_, digits) => cutAverage(digits))
            : text(of === 'sum' ? number : column, found, canonical)
      }
    }
    return result
  }

  function text<C>(column: C, value: unknown, form: (column: C, text: string) => string | null): unknown {
    return typeof value === 'string' ? form(column, value) : value
  }
}
