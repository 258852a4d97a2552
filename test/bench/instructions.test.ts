import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CASES } from '../../bench/instructions/cases.js'
import { createCluster } from '../../bench/instructions/cluster.js'
import { readFigures } from '../../bench/instructions/figures.js'
import { measure } from '../../bench/instructions/measure.js'

/**
 * What a write costs, in instructions of Postgres: exact, whatever else the machine does. The figures are for Debian's PostgreSQL 15;
 * another build needs other numbers, so the write to a table without triggers is the measure.
 */
const valgrind = process.env.LISTENQL_VALGRIND
const postgres = '/usr/lib/postgresql/15/bin'

describe.runIf(valgrind)('an INSERT into a watched table (LISTENQL_VALGRIND)', () => {
  it('executes at most 5 % more instructions than bench/RESULTS.md says', async () => {
    const cluster = await createCluster({ programs: postgres })
    try {
      const results = readFileSync(new URL('../../bench/RESULTS.md', import.meta.url), 'utf8')
      for (const name of ['INSERT of one row', 'INSERT of 1,000 rows']) {
        const of = async (table: string) => {
          const one = CASES.find(each => each.name === name && each.table === table)
          if (!one) throw new Error(`no case ${name} of ${table}`)
          return measure({ valgrind: valgrind as string, postgres }, cluster, one)
        }
        const figures = readFigures(results, name)
        const ratio = (await of('watched')) / (await of('bare'))
        expect(ratio, name).toBeLessThan((figures.watched / figures.bare) * 1.05)
      }
    } finally {
      await cluster.close()
    }
  }, 300_000)
})

it('reads figures from a table', () => {
  const table = ' INSERT of one row    |    131,608 |   145,365 |    293,718 |  223 % '
  expect(readFigures(table, 'INSERT of one row')).toEqual({ bare: 131_608, watched: 293_718 })
  expect(() => readFigures(table, 'UPDATE of one row')).toThrow('no figures')
})
