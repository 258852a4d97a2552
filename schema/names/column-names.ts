import type { TableColumn } from '../../src/catalog/watched-table.js'
import { assignGivenNames } from './assign-given-names.js'
import { camelCase, isPlain } from './identifiers.js'
import { readComment } from './read-comment.js'
import { RESERVED_COLUMNS } from './reserved.js'
import type { NamedColumn } from './table-names.js'

/**
 * Names the columns of a table, in their order; `nameEverything` describes the rules.
 * @param warn gets a line for each column that has another name than the usual one
 * @param ignore gets a line for each `@name` that cannot be used
 */
export function nameColumns(
  columns: readonly TableColumn[],
  warn: (message: string) => void,
  ignore: (message: string) => void,
): NamedColumn[] {
  const { names: fields, refused } = assignGivenNames(
    columns.map(column => ({
      item: column,
      wanted: wantedField(column.name),
      given: readComment(column.comment).name,
      brings: (field: string) => [field],
      rank: [isPlain(column.name) ? 0 : 1, column.name],
    })),
    RESERVED_COLUMNS,
  )
  return columns.map(column => {
    const shown = `column ${JSON.stringify(column.name)}`
    const field = fields.get(column) as string
    const { name: given, problem } = readComment(column.comment)
    if (field === given && field !== wantedField(column.name)) return { column, field, isGiven: true }
    const why = given !== undefined && refused.has(column) ? whyRefused(given) : problem
    if (why !== undefined)
      ignore(`@name of ${shown} is ignored, and the column is ${field} in GraphQL: ${why}`)
    const reason = whyColumnRenamed(column.name, field)
    if (reason !== undefined) warn(`${shown} is ${field} in GraphQL: ${reason}`)
    return { column, field, isGiven: false }
  })
}

function whyRefused(given: string): string {
  return RESERVED_COLUMNS.has(given)
    ? `filters or JavaScript use the name ${given} themselves: choose a different one`
    : `another has the name ${given}: choose a different one`
}

function whyColumnRenamed(name: string, field: string): string | undefined {
  if (field === camelCase(name) && isPlain(name)) return undefined
  const wanted = wantedField(name)
  if (field !== wanted) return `another has the name ${wanted}`
  return isPlain(name) ? 'filters or JavaScript use the name themselves' : 'GraphQL has no such names'
}

function wantedField(name: string): string {
  const field = camelCase(name)
  return RESERVED_COLUMNS.has(field) ? `${field}_` : field
}
