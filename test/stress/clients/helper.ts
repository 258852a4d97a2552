import type { FeedStatus, ListenqlClient, SubscribingClient } from '../../../src/client/index.js'
import type { Account } from './scene.js'
import type { Witness } from './witness.js'

/** The rows of the tables while nothing is written, as JSON of Postgres and in the order of their keys. */
export interface Tables {
  readonly accounts: readonly WholeAccount[]
  readonly owners: readonly Owner[]
}

export interface WholeAccount extends Account {
  readonly ownerId: number | null
  readonly label: string
}

export interface Owner {
  readonly id: number
  readonly name: string
}

/** One list, result or cache that a helper of listenql keeps. */
export interface Helper {
  readonly name: string
  /** What is on the screen, as JSON; undefined while there is nothing. */
  shown(): unknown
  /** What has to be on the screen. */
  wanted(tables: Tables): unknown
  /** For messages. */
  status(): string
  dispose(): unknown
}

/** What helpers are made with. */
export interface Kit {
  /** A client on the address that all share. */
  readonly client: ListenqlClient
  /** @returns the client for one helper, and how often its subscriptions have read all rows so far */
  countingReads(): { readonly client: SubscribingClient; reads(): number }
  /** @param branches the branches of which the helper shows all rows */
  witness(name: string, branches: readonly number[]): Witness
  /** To be told each status. A subscription that selects the renamed column is begun anew by `refetch`, as an application does. */
  heard(name: string, status: FeedStatus | undefined, refetch: () => void): void
  complain(text: string): void
}

/** The columns of an account that witnesses need, in GraphQL. */
export const FIELDS = 'id branch balance born version digest page'

/** Returns only these columns of a row. */
export function only<Row extends object, Name extends keyof Row>(
  row: Row,
  ...names: Name[]
): Pick<Row, Name> {
  return Object.fromEntries(names.map(name => [name, row[name]])) as Pick<Row, Name>
}

export const account = (row: Account): Account =>
  only(row, 'id', 'branch', 'balance', 'born', 'version', 'digest', 'page')

export const byId = (a: { readonly id: number }, b: { readonly id: number }): number => a.id - b.id
