import type { Scene } from '../scene.js'

/** Accounts belong to branches. Each branch has a row of its own in the table, the seal, with the id -1, -2, … */
export const BRANCHES = [1, 2, 3] as const

/** The sum of all balances at the end of each transaction. */
export const TOTAL = 6000

/** A row of the table `accounts`, by its names in GraphQL. */
export interface Account {
  readonly id: number
  readonly branch: number
  readonly balance: number
  /** A number that the row gets when it is inserted, and whenever its key changes. */
  readonly born: number
  /** Of a seal: the number of transactions that have changed the branch. Else null, as the next two. */
  readonly version: number | null
  /** Of a seal: a digest of the ids and balances of the branch. */
  readonly digest: string | null
  /** Of a seal: the three accounts of the branch with the highest balances. */
  readonly page: string | null
}

/** The number of accounts in the page of a seal. */
export const PAGE = 3

/**
 * Each transaction that changes accounts of a branch locks the seal of the branch first and ends with `seal`, so that the rows at the
 * end of any transaction prove that they belong together, and those within one do not.
 */
export const SCENE: Scene = {
  sql: `
set check_function_bodies = off; -- schema listenql comes later
create table owners (id int primary key, name text not null);
create sequence births;
create table accounts (
  id int primary key, branch int not null, balance int not null, born int not null default nextval('births'),
  owner_id int references owners on update cascade on delete set null, label text not null default 'new',
  version int, digest text, page text);

create function seal(sealed int) returns void language sql as $$
  with a as (select id, balance from accounts where branch = sealed and id > 0),
  s as (
    update accounts set version = version + 1,
      digest = (select md5(coalesce(string_agg(id || ':' || balance, ',' order by id), '')) from a),
      page = (select coalesce(string_agg(id || ':' || balance, ' ' order by balance desc, id), '')
        from (select * from a order by balance desc, id limit ${PAGE}) first)
    where id = -sealed returning version)
  select listenql.publish('seals', json_build_object('branch', sealed, 'version', version)) from s $$;

insert into owners select n, 'owner ' || n from generate_series(1, 6) n;
insert into accounts (id, branch, balance, owner_id) select n, 1 + n % ${BRANCHES.length}, 100, 1 + n % 6 from generate_series(1, ${TOTAL / 100}) n;
insert into accounts (id, branch, balance, version) select -n, n, 0, 0 from generate_series(1, ${BRANCHES.length}) n;
`,
  watched: ['accounts', 'owners'],
  grants: login => `
grant select, insert, update, delete on accounts, owners to ${login};
grant truncate on accounts to ${login};
grant usage on sequence births to ${login};
grant usage on schema listenql to ${login};
grant execute on function listenql.publish(text, json) to ${login};
`,
}
