import type { Random } from '../random.js'
import { isLinked, type Row, type Tables } from './model.js'
import { type Policy, type Relation, relationsOf, type Schema } from './schema.js'

/** Role of viewers with a token. Policies show them rows by the claim `grade`. */
export const MEMBER = 'member'
/** Role of viewers without a token, to which policies show every row. */
export const EVERYONE = 'everyone'

/** The number of tables that get a policy by their own column, and of those that get one by linked rows. */
const OWN = 1
const LINKED = 2

/** Draws policies: rows are shown by their own grade, or if a linked row has the grade. No policy leads back to its own table. */
export function randomPolicies(schema: Schema, random: Random): Policy[] {
  const tables = random.shuffle(schema.tables.map(({ name }) => name))
  const own = tables.slice(0, OWN).map((table): Policy => ({ table, relation: undefined }))
  const secured = tables.slice(0, OWN + LINKED)
  const linked = secured.slice(OWN).flatMap((table): Policy[] => {
    // A policy of the other table applies within this one; it may not be one by linked rows.
    const relations = relationsOf(schema, table).filter(({ to }) => !secured.slice(OWN).includes(to))
    return relations.length > 0 ? [{ table, relation: random.pick(relations) }] : []
  })
  return [...own, ...linked]
}

const CLAIM = `current_setting('request.jwt.claims', true)::json ->> 'grade'`

/** Creates the roles, switches row-level security on, and creates the policies. */
export function policySql({ policies, tables }: Schema): string[] {
  if (policies.length === 0) return []
  return [
    `create role ${MEMBER}`,
    `create role ${EVERYONE}`,
    `grant select on ${tables.map(({ name }) => name).join(', ')} to ${MEMBER}, ${EVERYONE}`,
    ...policies.flatMap(policy => [
      `alter table ${policy.table} enable row level security`,
      `create policy all_rows on ${policy.table} to ${EVERYONE} using (true)`,
      createPolicy(policy),
    ]),
  ]
}

export function createPolicy({ table, relation }: Policy): string {
  return `create policy by_grade on ${table} to ${MEMBER} using (${relation ? linkedSql(table, relation) : `v1 is null or v1::text = (${CLAIM})`})`
}

function linkedSql(table: string, { to, pairs }: Relation): string {
  const links = pairs.map(([local, remote]) => `other.${remote} = ${table}.${local}`)
  return `exists (select from ${to} other where ${links.join(' and ')} and other.v1::text = (${CLAIM}))`
}

/** The rows that policies show to a viewer with this claim. Undefined: all rows. */
export function visibleTables(schema: Schema, all: Tables, grade: string | undefined): Tables {
  if (grade === undefined) return all
  const visible = new Map(all)
  const show = ({ table }: Policy, shows: (row: Row) => boolean) =>
    visible.set(table, (all.get(table) ?? []).filter(shows))
  for (const policy of schema.policies) {
    const { relation } = policy
    if (!relation) show(policy, ({ v1 }) => (v1 ?? null) === null || v1 === grade)
    else {
      // The policies before this one are those of the other table.
      const others = (visible.get(relation.to) ?? []).filter(({ v1 }) => v1 === grade)
      show(policy, row => others.some(other => isLinked(schema, relation, row, other)))
    }
  }
  return visible
}
