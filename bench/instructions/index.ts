/**
 * How many instructions the log costs: what Postgres executes for a write to a table without a trigger, with triggers that do
 * nothing, and to a watched table; and for a pull. Callgrind counts them in single-user mode, so that the numbers do not depend on
 * what else the machine does.
 *
 *   npm run bench:instructions -- [--postgres DIR] [--valgrind PATH] [--migrations DIR] [--only TEXT] [--profile DIR]
 *
 * --postgres     folder with the programs of Postgres (/usr/lib/postgresql/15/bin)
 * --valgrind     path of valgrind (/usr/bin/valgrind)
 * --migrations   folder with the SQL of the log, of another version (this one's: sql/migrations)
 * --only         cases whose name contains this text
 * --profile      writes a profile of each case to this folder, for callgrind_annotate
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../../src/lib/table.js'
import { CASES, type Case } from './cases.js'
import { createCluster, TABLES } from './cluster.js'
import { measure } from './measure.js'

const { values } = parseArgs({
  options: {
    postgres: { type: 'string', default: '/usr/lib/postgresql/15/bin' },
    valgrind: { type: 'string', default: '/usr/bin/valgrind' },
    migrations: { type: 'string' },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
  },
})
const isChosen = ({ name }: Case) => name.includes(values.only)
const cases = CASES.filter(
  one => isChosen(one) || CASES.some(other => isChosen(other) && other.without === one.name),
)
const cluster = await createCluster({ programs: values.postgres, migrations: values.migrations })
const programs = { valgrind: values.valgrind, postgres: values.postgres }
try {
  const counted = new Map<string, number>()
  if (values.profile !== undefined) mkdirSync(values.profile, { recursive: true })
  for (const one of cases) {
    const profile =
      values.profile &&
      resolve(join(values.profile, `${one.name} ${one.table ?? ''}`.trim().replaceAll(' ', '-')))
    counted.set(`${one.name} ${one.table}`, await measure(programs, cluster, one, profile))
  }
  const of = (name: string, table: string | undefined) => counted.get(`${name} ${table}`) ?? Number.NaN
  const shown = (n: number) => n.toLocaleString('en')
  const names = [...new Set(cases.filter(({ table }) => table).map(({ name }) => name))]
  if (names.length > 0) {
    console.log(
      formatTable(
        [
          { name: 'instructions for', align: 'left' },
          { name: 'no trigger', align: 'right' },
          { name: 'triggers that do nothing', align: 'right' },
          { name: 'watched', align: 'right' },
          { name: 'of no trigger', align: 'right' },
        ],
        names.map(name => [
          name,
          ...TABLES.map(table => shown(of(name, table))),
          `${((of(name, 'watched') / of(name, 'bare')) * 100).toFixed(0)} %`,
        ]),
      ),
    )
  }
  for (const { name, without } of cases) {
    if (without !== undefined) console.log(`${name}: ${shown(of(name, undefined) - of(without, undefined))}`)
  }
} finally {
  await cluster.close()
}
