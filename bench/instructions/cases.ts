import { ROWS, TABLES } from './cluster.js'

/** What is counted: the instructions of `many` runs less those of `few`, for each run. */
export interface Case {
  readonly name: string
  /** The table that it writes to; undefined: it reads the log. */
  readonly table?: (typeof TABLES)[number]
  readonly few: number
  readonly many: number
  /** Statements of one line each. */
  readonly statements: (times: number) => readonly string[]
  /** The case whose instructions are in this one as well, and are taken off. */
  readonly without?: string
}

const times = (n: number, statement: (i: number) => string) =>
  Array.from({ length: n }, (_, i) => statement(i + 1))

const writes: readonly Case[] = TABLES.flatMap(table => {
  const one = { table, few: 100, many: 400 }
  const thousand = { table, few: 2, many: 6 }
  return [
    {
      ...one,
      name: 'INSERT of one row',
      statements: n => times(n, () => `insert into ${table} (name, age, height) values ('Paul', 51, 1.9)`),
    },
    {
      ...one,
      name: 'UPDATE of one row',
      statements: n => times(n, i => `update ${table} set age = 7 where pk = ${i}`),
    },
    {
      ...one,
      name: 'DELETE of one row',
      statements: n => times(n, i => `delete from ${table} where pk = ${i}`),
    },
    {
      ...thousand,
      name: 'INSERT of 1,000 rows',
      statements: n =>
        times(
          n,
          () =>
            `insert into ${table} (name, age, height) select 'Paul ' || g, g % 90, 1.9 from generate_series(1, 1000) g`,
        ),
    },
    {
      ...thousand,
      name: 'UPDATE of 1,000 rows',
      statements: n =>
        times(n, i => `update ${table} set age = 7 where pk between ${i * 1000 - 999} and ${i * 1000}`),
    },
    {
      ...thousand,
      name: 'DELETE of 1,000 rows',
      statements: n =>
        times(n, i => `delete from ${table} where pk between ${i * 1000 - 999} and ${i * 1000}`),
    },
  ] satisfies readonly Case[]
})

/** A reader that follows the log, in one session: each turn writes `events` rows, commits, and may pull. */
const follow = (events: number, turns: number, pull: boolean) => [
  `do $$ declare p record; q record; begin
     select n, token, 2147483647 as ord, 0 as statement, 0::bigint as id into p from listenql.newest();
     for i in 1..${turns} loop
       ${events > 0 ? `insert into watched (name, age, height) select 'Paul', 51, 1.9 from generate_series(1, ${events}); commit;` : ''}
       ${
         pull
           ? `for q in select * from listenql.pull(p.n, p.token, p.ord, p.statement, p.id, 1000) loop
         p.n := q.n; p.token := q.token; p.ord := q.ord; p.statement := q.statement; p.id := q.id;
       end loop; commit;`
           : ''
       }
     end loop;
   end $$`.replaceAll(/\s+/g, ' '),
]

const reads: readonly Case[] = [0, 1, 100].flatMap(events => {
  const range = events > 1 ? { few: 10, many: 30 } : { few: 50, many: 150 }
  const name = events === 1 ? '1 event' : `${events} events`
  return [
    { ...range, name, statements: n => follow(events, n, false) },
    { ...range, name: `pull of ${name}`, statements: n => follow(events, n, true), without: name },
  ] satisfies readonly Case[]
})

if (ROWS < 6000) throw new Error('the cases change the first 6,000 rows')

export const CASES: readonly Case[] = [...writes, ...reads]
