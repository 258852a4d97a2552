/**
 * What it costs to render a list of a live query again after a change of one row: as a whole, or with the texts of the rows that did
 * not change (src/graphql/row-texts.ts). Both ways run in turn on the same states; the table shows medians.
 *
 *   npx tsx bench/row-texts.ts [--rows N] [--states N]
 */
import { parseArgs } from 'node:util'
import { type ExecutionResult, execute, parse } from 'graphql'
import { DEMO_TABLES } from '../schema/demo-tables.js'
import { buildSchema } from '../schema/index.js'
import type { WatchedTable } from '../src/catalog/watched-table.js'
import { EVERYTHING } from '../src/filters/index.js'
import { stringifyResult } from '../src/graphql/result.js'
import { createRowTexts } from '../src/graphql/row-texts.js'
import { formatTable } from '../src/lib/table.js'
import { resultLists } from '../src/live/result-lists.js'
import { endOfBatch } from '../src/log/position.js'
import type { Plan } from '../src/plan/plan.js'
import { readPlanRows } from '../src/plan/plan-result.js'
import type { Snapshot } from '../src/snapshots/snapshot-request.js'
import { median } from './lib/statistics.js'

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000' },
    states: { type: 'string', default: '15' },
  },
})
const ROWS = Number(values.rows)
const STATES = Number(values.states)

/** A table of integers. */
function tableOf(columns: number): WatchedTable {
  const [people] = DEMO_TABLES as readonly [WatchedTable]
  const [pk] = people.columns
  if (!pk) throw new Error('the demo has no column')
  return {
    ...people,
    columns: Array.from({ length: columns }, (_, i) => ({ ...pk, name: `c${i}` })),
    key: ['c0'],
  }
}

function measure(columns: number): { readonly whole: number; readonly kept: number } {
  const table = tableOf(columns)
  const names = table.columns.map(({ name }) => name)
  const root = {
    kind: 'rows',
    table,
    filter: EVERYTHING,
    columns: names,
    orderBy: [],
    limit: ROWS,
    offset: 0,
    children: new Map(),
  } as const
  const plan: Plan = { root, tables: new Map([[table.relid, table]]) }
  const schema = buildSchema({ tables: [table] })
  const document = parse(`subscription { people { rows { ${names.join(' ')} } } }`)
  const run = (rootValue: Snapshot) =>
    execute({ schema, document, rootValue, contextValue: { keepsJsonText: true } }) as ExecutionResult
  const lists = resultLists<Snapshot>(plan)
  if (!lists) throw new Error('the plan has no list')
  const texts = createRowTexts(lists, run)
  const times = { whole: [] as number[], kept: [] as number[] }
  for (let state = 0; state < STATES; state++) {
    const written = Array.from({ length: ROWS }, (_, row) =>
      JSON.stringify(
        Object.fromEntries(names.map((name, i) => [name, row + i + (row === ROWS / 2 ? state : 0)])),
      ),
    )
    const snapshot = {
      cursor: '',
      position: endOfBatch({ n: 1, token: 1 }),
      duration: 0,
      rows: readPlanRows(plan, written),
    }
    const begin = performance.now()
    const whole = stringifyResult(run(snapshot))
    const between = performance.now()
    const kept = stringifyResult(texts.execute(snapshot))
    times.whole.push(between - begin)
    times.kept.push(performance.now() - between)
    if (whole !== kept) throw new Error('the two results differ')
  }
  return { whole: median(times.whole), kept: median(times.kept) }
}

const ms = (time: number) => `${time.toFixed(1)} ms`
const results = [5, 20, 60].map(columns => ({ columns, ...measure(columns) }))
console.log(
  formatTable(
    ['values in a row', 'as a whole', 'texts kept'].map(name => ({ name, align: 'right' as const })),
    results.map(({ columns, whole, kept }) => [String(columns), ms(whole), ms(kept)]),
  ),
)
