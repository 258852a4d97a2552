import type { Random } from '../random.js'
import type { Target, World } from './world.js'

/** Few keys, so that commands touch the same rows. */
const KEYS = 6

export interface Generator {
  /** One SQL statement, which may fail. */
  statement(): string
}

/** @param version server_version_num, which determines the available SQL */
export function createGenerator(world: World, random: Random, version: number): Generator {
  const hasMerge = version >= 150000
  const key = () => random.int(1, KEYS)
  const value = () => random.int(0, 9)
  const group = () => random.int(1, 4)

  const condition = (prefix = ''): string =>
    random.pick([
      `${prefix}k = ${key()}`,
      `${prefix}k = ${key()}`,
      `${prefix}k <= ${key()}`,
      `${prefix}k in (${key()}, ${key()})`,
      `${prefix}v % 2 = ${random.int(0, 1)}`,
      'true',
    ])
  const rows = (): string =>
    Array.from(
      { length: random.int(1, 3) },
      () => `(${key()}, ${random.pick(['1', '1', group()])}, ${value()})`,
    ).join(', ')
  const call = (argument: string): string =>
    `${random.pick(['del', 'ins', 'upd', 'put', 'swp'])}${random.pick(['', '_sql'])}(${argument})`

  function assignment({ columns }: Target, row = ''): string {
    const column = random.pick(columns)
    const k = `${row}k`
    if (column === 'k')
      return `k = ${random.pick([`${k} + 1`, `${k} - 1`, `${k} + ${KEYS}`, String(key()), `7 - ${k}`])}`
    if (column === 'g') return `g = ${random.pick([String(group()), '3', '4', `${row}g % 4 + 1`])}`
    if (column === 'v') return `v = ${random.pick([`${row}v + 1`, `${row}v`, String(value())])}`
    return `${column} = ${random.pick([String(key()), 'null', `${k} - 1`])}`
  }

  const inserts = ({ table }: Target): string =>
    random.pick([
      `insert into ${table} (k, g, v) values ${rows()}`,
      `insert into ${table} (k, g, v) values ${rows()} on conflict do nothing`,
      `insert into ${table} (k, g, v) select i, 1, ${value()} from generate_series(1, ${KEYS}) i on conflict do nothing`,
    ])
  const updates = (target: Target): string =>
    `update ${target.table} set ${assignment(target)} where ${condition()}`
  const deletes = ({ table }: Target): string => `delete from ${table} where ${condition()}`
  const upserts = ({ table, key: columns }: Target): string =>
    `insert into ${table} (k, g, v) values ${rows()} on conflict (${columns.join(', ')}) do update set v = ${random.pick(['excluded.v', `${table}.v + 1`])}`

  function merges(target: Target): string {
    const matched = () =>
      random.pick([
        'delete',
        `update set ${assignment(target, 't.')}`,
        `update set ${assignment(target, 't.')}`,
        'do nothing',
      ])
    const clauses = [
      ...(random.chance(0.5) ? [`when matched and s.v > 5 then ${matched()}`] : []),
      `when matched then ${matched()}`,
      ...(random.chance(0.6) ? ['when not matched then insert (k, g, v) values (s.k, s.g, s.v)'] : []),
    ]
    return `merge into ${target.table} t using (select distinct on (k) * from (values ${rows()}) x(k, g, v) order by k) s on t.k = s.k ${clauses.join(' ')}`
  }

  /** Several statements in one command. */
  function together(target: Target): string {
    const { table } = target
    const gone = `delete from ${table} where ${condition()} returning *`
    const changed = `update ${table} set ${assignment(target)} where ${condition()} returning *`
    const back = (from: string) =>
      `insert into ${table} (k, g, v) select ${random.pick(['k', 'k', 'k', 'k + 1'])}, g, ${random.pick(['v', 'v', 'v + 1', '3'])} from ${from}`
    return random.pick([
      () => `with d as (${gone}) ${back('d')}`,
      () => `with d as (${gone}) ${back('d')} limit 1`,
      () =>
        `with d as (${gone}) ${back(`(select 9 as k, 1 as g, 1 as v union all select k, g, v from d) d`)} limit 2`,
      () => `with d as (${gone}), i as (${back('d')} returning *) select count(*) from i`,
      () =>
        `with i as (insert into ${table} (k, g, v) values ${rows()} returning *) delete from ${table} where ${condition()}`,
      () => `with d as (${gone}) insert into ${table} (k, g, v) values ${rows()}`,
      () => `with u as (${changed}) insert into ${table} (k, g, v) values ${rows()}`,
      () => `with u as (${changed}) insert into ${table} (k, g, v) select k - 1, g, v from u`,
      () => `with d as (${gone}) update ${table} set ${assignment(target)} where ${condition()}`,
      () => `with d as (${gone}) update ${table} set k = d.k from d where ${table}.k = d.k + 1`,
      () =>
        `with d as (${gone}), u as (update ${table} set k = d.k from d where ${table}.k = d.k + 1 returning ${table}.*) ${back('(select k + 1 as k, g, v from u) u')}`,
      () => `with d as (${gone}) ${upserts(target)}`,
      () => `with u as (${changed}) delete from ${table} where ${condition()}`,
    ])()
  }

  /** Functions that write to the same table, called while a statement runs. */
  function calling(target: Target): string {
    const { table } = target
    return random.pick([
      () => `select ${call(String(key()))}, ${call(String(key()))}`,
      () => `select ${call('k')} from ${table} where ${condition()}`,
      () =>
        `insert into ${table} (k, g, v) values (${key()}, 1, ${call(String(key()))}), (${key()}, 1, ${value()})`,
      () =>
        `insert into ${table} (k, g, v) select i, 1, ${call('i')} from generate_series(1, ${random.int(1, 3)}) i`,
      () =>
        `insert into ${table} (k, g, v) select i, 1, ${call(`${KEYS} - i`)} from generate_series(1, ${random.int(1, 3)}) i on conflict do nothing`,
      () =>
        `insert into ${table} (k, g, v) select k, g, v from ${table} where ${call('k')} = k and ${condition()}`,
      () => `update ${table} set v = ${call(String(key()))} where ${condition()}`,
      () => `update ${table} set k = k + 1, v = ${call('k + 2')} where ${condition()}`,
      () => `delete from ${table} where ${condition()} and ${call('k + 1')} > 0`,
      () =>
        `with d as (delete from ${table} where ${condition()} returning *) insert into ${table} (k, g, v) select k, g, ${call('k')} from d`,
    ])()
  }

  function single(): string {
    const target = random.pick(world.targets)
    const ways = [
      inserts,
      inserts,
      updates,
      updates,
      deletes,
      upserts,
      together,
      together,
      together,
      calling,
      calling,
    ]
    if (hasMerge) ways.push(merges, merges, merges)
    if (world.extra.length > 0 && random.chance(0.3)) return random.pick(world.extra)(random)
    return random.pick(ways)(target)
  }

  function block(): string {
    const body = Array.from({ length: random.int(1, 3) }, () => {
      const command = random.chance(0.2) ? `execute ${quote(single())}` : perform(single())
      return random.chance(0.3)
        ? `begin ${command}; ${random.chance(0.5) ? "raise exception 'undone'; " : ''}exception when others then null; end`
        : command
    })
    return `do ${quote(`begin ${body.join('; ')}; end`)}`
  }
  /** In PL/pgSQL, the result of a query needs a destination. */
  const perform = (sql: string) => (/^(select|with)/i.test(sql) ? `execute ${quote(sql)}` : sql)
  let tag = 0
  const quote = (text: string) => `$q${++tag}$${text}$q${tag}$`

  return {
    statement() {
      if (random.chance(0.01)) return `truncate ${Object.keys(world.tables).join(', ')}`
      if (random.chance(0.12)) return block()
      const sql = single()
      // Postgres prepares no TRUNCATE.
      if (sql.startsWith('truncate') || !random.chance(0.05)) return sql
      const name = `p${++tag}`
      return `prepare ${name} as ${sql}; execute ${name}`
    },
  }
}
