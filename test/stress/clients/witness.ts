import { createHash } from 'node:crypto'
import { type Account, BRANCHES, PAGE, TOTAL } from './scene.js'

/** Judges each state of accounts that a helper shows. */
export interface Witness {
  readonly name: string
  /** The number of states that were judged. */
  readonly states: number
  /**
   * @param rows what the helper shows
   * @param reads how often the helper has read all rows so far: in between, it may skip no transaction
   */
  see(rows: readonly Account[], reads?: number): void
}

export interface WitnessOptions {
  readonly name: string
  /** The branches of which the helper shows all rows. */
  readonly branches: readonly number[]
  readonly complain: (text: string) => void
}

/**
 * A state is right if the seal of each branch fits the rows of the branch. The versions of seals never fall, and rise by one where each
 * transaction has to show.
 */
export function createWitness({ name, branches, complain }: WitnessOptions): Witness {
  let states = 0
  const versions = new Map<number, number>()
  let readsBefore: number | undefined

  function judgeVersion(branch: number, version: number, mayShowAll: boolean): void {
    const before = versions.get(branch)
    versions.set(branch, version)
    if (before === undefined) return
    if (version < before) complain(`${name}: branch ${branch} went back from version ${before} to ${version}`)
    if (mayShowAll && version > before + 1)
      complain(`${name}: branch ${branch} skipped from version ${before} to ${version}`)
  }
  return {
    name,
    get states() {
      return states
    },
    see(rows, reads) {
      states++
      const showsAll = reads !== undefined && reads === readsBefore
      readsBefore = reads
      const wrong = branches.flatMap(branch => faultOf(rows, branch) ?? [])
      for (const { id, version } of rows)
        if (id < 0 && version !== null && branches.includes(-id)) judgeVersion(-id, version, showsAll)
      if (wrong.length > 0) complain(`${name} showed a state within a transaction: ${wrong.join('; ')}`)
      else if (branches.length === BRANCHES.length && sumOf(rows) !== TOTAL)
        complain(`${name} showed balances of ${sumOf(rows)} in all instead of ${TOTAL}`)
    },
  }
}

/** Says why the rows of a branch do not belong together. */
function faultOf(rows: readonly Account[], branch: number): string | undefined {
  const seal = rows.find(({ id }) => id === -branch)
  if (!seal) return `branch ${branch} has no seal`
  const accounts = rows.filter(row => row.branch === branch && row.id > 0)
  if (digestOf(accounts) !== seal.digest)
    return `the rows of branch ${branch} do not fit version ${seal.version}`
  if (pageOf(accounts) !== seal.page)
    return `the page of branch ${branch} does not fit version ${seal.version}`
  return undefined
}

function digestOf(accounts: readonly Account[]): string {
  const text = [...accounts].sort((a, b) => a.id - b.id).map(({ id, balance }) => `${id}:${balance}`)
  return createHash('md5').update(text.join()).digest('hex')
}

/** The order of pages: the highest balance first. */
export const byBalance = (a: Pick<Account, 'id' | 'balance'>, b: Pick<Account, 'id' | 'balance'>): number =>
  b.balance - a.balance || a.id - b.id

/** @returns the text of the page that these accounts begin with, as in a seal */
export function pageOf(accounts: readonly Pick<Account, 'id' | 'balance'>[]): string {
  const first = [...accounts].sort(byBalance).slice(0, PAGE)
  return first.map(({ id, balance }) => `${id}:${balance}`).join(' ')
}

function sumOf(rows: readonly Account[]): number {
  return rows.reduce((sum, { balance }) => sum + balance, 0)
}
