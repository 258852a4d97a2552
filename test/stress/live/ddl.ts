import { createPolicy } from './policies.js'
import type { Schema } from './schema.js'
import { constrain, typeOf } from './schema-sql.js'

/** Statements after which every live query of the run still fits: they heal themselves. */
export function alterations(schema: Schema): string[] {
  const [grade] = schema.grades
  const all = schema.tables.flatMap(({ name, columns, partitions }) => [
    `alter table ${name} add column if not exists extra int default 5`,
    `alter table ${name} drop column if exists extra`,
    ...columns.flatMap(column => {
      if (!column.name.startsWith('v')) return []
      const alter = (type: string) => `alter table ${name} alter ${column.name} type ${type}`
      if (column.type === 'text') return [alter('varchar'), alter('text')]
      if (column.type !== 'numeric' || column.scale === undefined) return []
      return [alter('numeric(12, 4)'), alter(typeOf(column))] // rewrites the table
    }),
    ...(partitions ? [] : [`vacuum full ${name}`]),
    ...(partitions === 'list'
      ? [
          `alter table ${name} detach partition ${name}_0; alter table ${name} attach partition ${name}_0 for values in ('${grade}')`,
        ]
      : []),
  ])
  const keys = schema.references.map(reference => {
    const { name, from } = reference
    return [`alter table ${from} drop constraint ${name}`, ...constrain(reference)].join('; ')
  })
  return [
    ...all,
    ...keys,
    ...schema.policies.map(policy => `drop policy by_grade on ${policy.table}; ${createPolicy(policy)}`),
    `alter type grade rename value '${grade}' to 'renamed'; alter type grade rename value 'renamed' to '${grade}'`,
  ]
}
