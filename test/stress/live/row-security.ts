import type { StressDatabase } from '../database.js'
import { readHistory } from './history.js'
import type { Row } from './model.js'
import { MEMBER, visibleTables } from './policies.js'
import type { Schema } from './schema.js'
import type { Sight } from './sights.js'
import { shown } from './values.js'

/** Compares the rows that the model shows to each viewer with `select` under the viewer's role and claims. To be called while nothing writes. @returns the differences */
export async function compareWithSelect(
  database: StressDatabase,
  schema: Schema,
  sights: readonly Sight[],
): Promise<string[]> {
  const history = await readHistory(database.query, schema)
  history.moveTo(undefined)
  const complaints: string[] = []
  for (const { grade } of sights) {
    const visible = visibleTables(schema, history.tables(), grade)
    for (const { name, columns } of schema.tables) {
      const selected = await database.session(async query => {
        await query('begin')
        if (grade !== undefined) {
          await query(`set local role ${MEMBER}`)
          await query(`select set_config('request.jwt.claims', $1, true)`, [JSON.stringify({ grade })])
        }
        return query<{ row: Row }>(
          `select (select json_object_agg(key, value) from json_each_text(to_json(t))) as row from ${name} t`,
        )
      })
      const textOf = (row: Row) =>
        JSON.stringify(
          columns.map(column => {
            const text = row[column.name] ?? null
            return text === null ? null : shown(column, text)
          }),
        )
      const actual = selected.map(({ row }) => textOf(row)).sort()
      const expected = (visible.get(name) ?? []).map(textOf).sort()
      if (actual.join() !== expected.join())
        complaints.push(`select from ${name} for grade ${grade ?? 'any'}\nshows ${actual}\nnot   ${expected}`)
    }
  }
  return complaints
}
