import type { TestLog } from './log.js'

const ARGUMENTS =
  'after_n bigint, after_token bigint, after_ord int, after_statement int, after_id bigint, max_rows int'
/** The functions that return events; `pull` reads those of a batch that it has just made by itself. */
const NAMES = ['read', 'pull'] as const

/** The reads of the log that Postgres refuses. */
export interface LogFault {
  /** SQL: a condition, true for the events `d` that cannot be read. */
  readonly event: string
  /** SQL: the condition after `current_query()`, true for the statements that cannot read such an event. */
  readonly statement: string
  readonly code: string
  readonly message: string
}

/**
 * Makes Postgres refuse to read some events of the log, as after a fault of the disk or the memory. The refusal depends on what
 * a statement reads of an event: a damaged value does not keep the other columns from being read.
 * @returns a function that repairs the log
 */
export async function breakLog(
  log: TestLog,
  { event, statement, code, message }: LogFault,
): Promise<() => Promise<void>> {
  const repairs = await Promise.all(NAMES.map(breakFunction))
  return async () => {
    for (const repair of repairs) await repair()
  }

  async function breakFunction(name: (typeof NAMES)[number]): Promise<() => Promise<void>> {
    const [row] = await log.query(
      `select pg_get_functiondef('listenql.${name}(bigint, bigint, int, int, bigint, int)'::regprocedure) as whole`,
    )
    const whole = String(row?.whole)
    await log.query(whole.replace(`listenql.${name}(`, `listenql.${name}_whole(`))
    await log.query(`create or replace function listenql.${name}(${ARGUMENTS}) returns setof listenql.delivery
      language plpgsql security definer set search_path = pg_catalog, pg_temp as $fault$
      declare d listenql.delivery;
      begin
        for d in select * from listenql.${name}_whole(after_n, after_token, after_ord, after_statement, after_id, max_rows) loop
          if (${event}) and current_query() ${statement} then
            raise exception using errcode = '${code}', message = '${message}';
          end if;
          return next d;
        end loop;
      end $fault$`)
    return async () => {
      await log.query(whole)
      await log.query(`drop function listenql.${name}_whole`)
    }
  }
}
