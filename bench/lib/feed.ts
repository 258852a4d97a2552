import type { BenchDatabase } from './database.js'
import { CHANNEL, TABLE } from './variants.js'

/**
 * Creates the table `feed` again: watched, with a trigger that notifies each new text like the article's trigger, or with both.
 * @param rows number of rows at the beginning, with keys from 1 on
 */
export async function makeFeed(
  { query }: BenchDatabase,
  { watched, notifies, rows = 0 }: { watched: boolean; notifies: boolean; rows?: number },
): Promise<void> {
  await query(`drop table if exists ${TABLE}`)
  await query(`create table ${TABLE} (pk int generated always as identity primary key, text text not null)`)
  await query(`insert into ${TABLE} (text) select '' from generate_series(1, $1)`, [rows])
  if (watched) await query('select listenql.watch($1)', [TABLE])
  if (notifies) {
    await query(`
      create or replace function announce() returns trigger as $$
        begin
          perform pg_notify('${CHANNEL}', new.text);
          return new;
        end $$ language plpgsql;
      create trigger announce after insert on ${TABLE} for each row execute function announce()`)
  }
  await query('select * from listenql.refresh()')
  await query('vacuum')
  await query('checkpoint')
}
