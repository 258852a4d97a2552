/**
 * A policy of a table with row-level security, as it applies to SELECT
 * (https://www.postgresql.org/docs/current/sql-createpolicy.html).
 */
export interface Policy {
  readonly name: string
  /** Permissive policies are OR-ed, restrictive ones AND-ed. */
  readonly isPermissive: boolean
  /** Its USING expression as SQL. pg_get_expr wrote it under one search_path, and it is valid under that one only. */
  readonly using: string
  /**
   * Columns of the table that it names, including system columns (`ctid`), excluding those of a whole-row reference
   * (`people.*`).
   */
  readonly columns: readonly PolicyColumn[]
  /**
   * It uses only functions and operators that come with Postgres, and plain tables without row-level security, so its text shows
   * all that it does. False if it uses user-defined functions (whatever their declared volatility), views, or other policies.
   */
  readonly isTransparent: boolean
  /**
   * Except for columns of its own table, it uses nothing but what comes with Postgres: no function, operator, type, table or schema of a
   * user. Then the names in its text mean those of Postgres, whatever the search_path is.
   */
  readonly isBuiltIn: boolean
  /** It names another table or view. Functions that it calls may read others. */
  readonly readsTables: boolean
}

export interface PolicyColumn {
  readonly name: string
  readonly isSystem: boolean
  /** Its attnum, and the oid of its type, as they are now. */
  readonly number: number
  readonly typeOid: number
  /** As SQL, if it differs from the default of the column's type. */
  readonly collation: string | null
}

/**
 * SQL that returns the policies of a table for SELECT as JSON, in the order of their names (the order in which Postgres applies
 * them): those FOR SELECT and FOR ALL, TO PUBLIC or to a role whose rights the given role has. Policies without USING are left
 * out: they allow no rows, as if there were no policy.
 * @param table,role SQL of type oid
 */
export function policiesSql(table: string, role: string): string {
  return `coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', p.polname, 'isPermissive', p.polpermissive,
    'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'columns', ${columnsSql('p')},
    'isTransparent', ${transparentSql('p')}, 'isBuiltIn', ${builtInSql('p')}, 'readsTables', exists (${otherTablesSql('p')})) order by p.polname)
  from pg_catalog.pg_policy p
  where p.polrelid = ${table} and ${appliesSql('p', role)}), '[]')`
}

/**
 * SQL that says whether a policy decides which rows a role sees: as above.
 * @param policy an alias of pg_policy @param role SQL of type oid
 */
export function appliesSql(policy: string, role: string): string {
  return `${policy}.polcmd in ('*', 'r') and ${policy}.polqual is not null
    and exists (select from pg_catalog.unnest(${policy}.polroles) m(oid) where m.oid = 0 or pg_catalog.pg_has_role(${role}, m.oid, 'usage'))`
}

/** The columns that Postgres has recorded as dependencies of the policy: of its whole text, including WITH CHECK. */
function columnsSql(policy: string): string {
  return `coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'isSystem', a.attnum < 0,
      'number', a.attnum, 'typeOid', a.atttypid::pg_catalog.int8, 'collation',
      case when a.attcollation <> t.typcollation then (select pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.collname))
        from pg_catalog.pg_collation c join pg_catalog.pg_namespace n on n.oid = c.collnamespace where c.oid = a.attcollation) end) order by a.attnum)
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = ${policy}.polrelid and exists (select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = ${policy}.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum)), '[]')`
}

/**
 * SQL: see `Policy.isTransparent`. Objects with an oid from 16384 on (FirstNormalObjectId) are user-defined; pg_depend records those that
 * a policy depends on.
 * @param policy an alias of pg_policy
 */
export function transparentSql(policy: string): string {
  return `not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = ${policy}.oid
      and d.refobjid >= 16384 and (d.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
        or d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid <> ${policy}.polrelid and exists (select from pg_catalog.pg_class o
          where o.oid = d.refobjid and (o.relrowsecurity or o.relkind not in ('r', 'p', 'm', 'S')))
        or d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass and exists (select from pg_catalog.pg_type y
          where y.oid = d.refobjid and y.typtype not in ('e', 'p'))))`
}

/** SQL: see `Policy.isBuiltIn`. @param policy an alias of pg_policy */
function builtInSql(policy: string): string {
  return `not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = ${policy}.oid
      and d.refobjid >= 16384 and not (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = ${policy}.polrelid))`
}

/** SELECT of the oids of the tables and views other than its own that the policy names. @param policy an alias of pg_policy */
export function otherTablesSql(policy: string): string {
  return `select d.refobjid from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = ${policy}.oid
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid >= 16384 and d.refobjid <> ${policy}.polrelid`
}
