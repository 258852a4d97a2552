import fc from 'fast-check'
import { type GraphQLObjectType, validateSchema } from 'graphql'
import { describe, expect, it } from 'vitest'
import { buildSchema } from '../../../schema/index.js'
import { nameEverything } from '../../../schema/names/names.js'
import type { ForeignKey } from '../../../src/catalog/foreign-keys.js'
import type { WatchedTable } from '../../../src/catalog/watched-table.js'
import { column, table } from '../../support/watched-tables.js'

const id = column('id', 'int4', { notNull: true })

/** A table with an integer column for each name, and foreign keys `columns -> table`, with more of their properties. */
function child(
  name: string,
  columns: readonly string[],
  keys: readonly [columns: string, to: string, more?: Partial<ForeignKey>][],
): WatchedTable {
  const foreignKeys = keys.map(([list, to, more], i) => {
    const names = list.split(' ')
    return {
      name: `${name}_${i}`,
      columns: names,
      references: to,
      referencedColumns: names.map((_, n) => (n === 0 ? 'id' : `id${n + 1}`)),
      operators: names.map(() => 'operator(pg_catalog.=)'),
      collations: names.map(() => null),
      isUnique: false,
      comment: null,
      ...more,
    }
  })
  return table(name, [id, ...columns.map(each => column(each, 'int4'))], { foreignKeys })
}

const parent = (name: string) => table(name, [id, column('id2', 'int4')])

/** The relations of each table, as `field -> table`, with `*` for many. */
function relationsOf(tables: readonly WatchedTable[], warnings: string[] = []): Record<string, string[]> {
  const named = nameEverything(tables, message => warnings.push(message)).tables
  return Object.fromEntries(
    named
      .filter(({ relations }) => relations.length > 0)
      .map(({ table: of, relations }) => [
        of.name,
        relations.map(({ field, to, isMany }) => `${field} -> ${to}${isMany ? '*' : ''}`),
      ]),
  )
}

describe('a relation is named', () => {
  it.each<[string, WatchedTable[], Record<string, string[]>]>([
    ['after the column without its suffix', [parent('customers'), child('orders', ['customer_id'], [['customer_id', 'customers']])],
      { orders: ['customer -> customers'], customers: ['orders -> orders*'] }],
    ['whatever the suffix', [parent('a'), child('b', ['x_uuid', 'y_fk', 'z_key', 'wID'], [['x_uuid', 'a'], ['y_fk', 'a'], ['z_key', 'a'], ['wID', 'a']])],
      { b: ['x -> a', 'y -> a', 'z -> a', 'aByWID -> a'], a: ['bByX -> b*', 'bByY -> b*', 'bByZ -> b*', 'bByWID -> b*'] }],
    ['by the column if that has the name itself', [parent('customers'), child('orders', ['customer'], [['customer', 'customers']])],
      { orders: ['customersByCustomer -> customers'], customers: ['orders -> orders*'] }],
    ['after the prefix of several columns', [parent('teams'), child('matches', ['home_org', 'home_no'], [['home_org home_no', 'teams']])],
      { matches: ['home -> teams'], teams: ['matches -> matches*'] }],
    ['after the table if several columns have no prefix', [parent('teams'), child('matches', ['org', 'no'], [['org no', 'teams']])],
      { matches: ['teams -> teams'], teams: ['matches -> matches*'] }],
    ['by its column if there are several to one table', [parent('teams'), child('matches', ['home_id', 'away_id'], [['home_id', 'teams'], ['away_id', 'teams']])],
      { matches: ['home -> teams', 'away -> teams'], teams: ['matchesByHome -> matches*', 'matchesByAway -> matches*'] }],
    ['plainly if its column is named after the table', [parent('teams'), child('matches', ['team_id', 'away_id'], [['team_id', 'teams'], ['away_id', 'teams']])],
      { matches: ['team -> teams', 'away -> teams'], teams: ['matches -> matches*', 'matchesByAway -> matches*'] }],
    ['by its column if the table references itself', [child('people', ['boss_id'], [['boss_id', 'people']])],
      { people: ['boss -> people', 'peopleByBoss -> people*'] }],
    ['as a row of the table if that references itself, and the column has the name', [child('people', ['boss'], [['boss', 'people']])],
      { people: ['bossRow -> people', 'peopleByBoss -> people*'] }],
    ['as one row if the foreign key is unique', [parent('users'), child('profiles', ['user_id'], [['user_id', 'users', { isUnique: true }]])],
      { profiles: ['user -> users'], users: ['profiles -> profiles'] }],
    ['by the comment on the constraint', [parent('accounts'), child('blogs', ['owner_id'], [['owner_id', 'accounts', { comment: 'The author of the blog. @graphql({"foreign_name": "author", "local_name": "posts"})' }]])],
      { blogs: ['author -> accounts'], accounts: ['posts -> blogs*'] }],
    ['with a number if nothing else is left', [parent('a'), child('b', ['x_id', 'x_fk', 'aByX'], [['x_id', 'a'], ['x_fk', 'a']])],
      { b: ['x -> a', 'aByX_2 -> a'], a: ['bByX -> b*', 'bByX_2 -> b*'] }],
  ])('%s', (_name, tables, expected) => {
    expect(relationsOf(tables)).toEqual(expected)
    expect(relationsOf([...tables].reverse())).toEqual(expected)
  }) // biome-ignore format: a table

  it('with a warning where a second foreign key renames a relation, or a comment cannot be used', () => {
    const warnings: string[] = []
    relationsOf(
      [
        parent('teams'),
        child(
          'matches',
          ['home_id', 'away_id', 'x'],
          [
            ['home_id', 'teams', { comment: '@graphql({"foreign_name": "__x"})' }],
            ['away_id', 'teams', { comment: '@graphql({not json})' }],
          ],
        ),
      ],
      warnings,
    )
    expect(warnings).toEqual([
      expect.stringContaining('foreign key "matches_0" of table "public.matches" names no relation: "__x"'),
      expect.stringContaining(
        '"matches_0" is matchesByHome in GraphQL, not matches: "matches_1" also references it',
      ),
      expect.stringContaining(
        'foreign key "matches_1" of table "public.matches" names no relation: it is not JSON',
      ),
      expect.stringContaining(
        '"matches_1" is matchesByAway in GraphQL, not matches: "matches_0" also references it',
      ),
    ])
  })

  it('only where both tables and all columns are in the schema', () => {
    expect(relationsOf([child('orders', ['customer_id'], [['customer_id', 'gone']])])).toEqual({})
    expect(relationsOf([parent('a'), child('b', ['x'], [['y', 'a']])])).toEqual({})
  })
})

const word = fc.constantFrom(
  'a',
  'b',
  'a_id',
  'b_fk',
  'and',
  'a_by_b',
  'count',
  'constructor',
  'true',
  'aAggregate',
)

it('arbitrary foreign keys yield a valid schema with one field for each direction', () => {
  const tables = fc
    .uniqueArray(fc.tuple(word, fc.uniqueArray(word, { maxLength: 4 })), {
      minLength: 1,
      maxLength: 4,
      selector: ([name]) => name,
    })
    .chain(shapes =>
      fc
        .tuple(
          ...shapes.map(([, columns]) =>
            fc.array(
              fc.tuple(
                fc.subarray(columns, { minLength: Math.min(1, columns.length) }),
                fc.constantFrom(...shapes.map(([name]) => name)),
                fc.boolean(),
              ),
              { maxLength: 3 },
            ),
          ),
        )
        .map(keys =>
          shapes.map(([name, columns], i) =>
            child(
              name,
              columns,
              (keys[i] ?? [])
                .filter(([list]) => list.length > 0)
                .map(([list, to, isUnique]) => [
                  list.join(' '),
                  to,
                  { isUnique, referencedColumns: list.map(() => 'id') },
                ]),
            ),
          ),
        ),
    )
  fc.assert(
    fc.property(tables, all => {
      const schema = buildSchema({ tables: all })
      expect(validateSchema(schema)).toEqual([])
      const keys = all.flatMap(({ foreignKeys = [] }) => foreignKeys)
      const named = nameEverything(all).tables
      expect(named.flatMap(({ relations }) => relations)).toHaveLength(2 * keys.length)
      for (const { rowType, relations } of named) {
        const fields = (schema.getType(rowType) as GraphQLObjectType).getFields()
        for (const { field, aggregateField } of relations) {
          expect(fields[field]).toBeDefined()
          if (aggregateField !== undefined) expect(fields[aggregateField]).toBeDefined()
        }
      }
    }),
    { numRuns: 100 },
  )
})
