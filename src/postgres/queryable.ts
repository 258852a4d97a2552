import pg from 'pg'

/** What a connection or a pool can do. */
export interface Queryable {
  query(config: pg.QueryConfig): Promise<pg.QueryResult>
}

/** int8 as numbers: ids, batches and tokens stay far below 2^53. */
export const TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === pg.types.builtins.INT8
      ? Number
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
}
