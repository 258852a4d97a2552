import type pg from 'pg'
import { PIN_SETTINGS } from '../database/pinned-settings.js'
import { RIGHTS, type TableRights } from '../database/privileges.js'
import { quoteLiteral } from '../database/quote-literal.js'
import { runSeveral, sqlStateOf, textArray } from '../database/several.js'
import type { WatchedTable } from '../database/watched-table.js'
import type { RowImage } from '../filters/index.js'
import type { ListenqlError } from '../lib/errors.js'
import { policiesFailed, policiesTooSlow } from './access-errors.js'
import { takeClaimsSql, takeRoleSql } from './become.js'
import {
  decodeVerdicts,
  type EncodedImages,
  encodeImages,
  IMAGES,
  isJudgeable,
  WHOLE_IMAGES,
} from './policy-images.js'
import { LockedOut, provideQuestion, rollBack } from './policy-prepare.js'
import type { Judge, Question } from './policy-sql.js'
import type { Prepared } from './prepared.js'

/** For each image whether it may be seen, or why that is not to be had. */
export type Verdict = readonly boolean[] | ListenqlError

/** A viewer as a batch needs it. */
export interface Asker {
  readonly key: string
  readonly role: string
  /** JSON. */
  readonly claims: string
}

export interface Batch {
  readonly table: WatchedTable
  /** Those of one role together. */
  readonly askers: readonly Asker[]
  readonly images: readonly RowImage[]
  /** Time for each viewer, in ms. */
  readonly budget: number
}

/** What outlives a batch. */
export interface BatchMemory {
  /** The rights of each role on the table as they were read last, by role. */
  readonly rights: Map<string, string>
  readonly judge: Judge
  readonly prepared: Prepared
}

interface Asked {
  readonly asker: Asker
  readonly question: Question
}

interface Plan {
  readonly batch: Batch
  /** Whom the policies need not be asked for. */
  readonly settled: ReadonlyMap<string, Verdict>
  readonly asked: readonly Asked[]
  readonly some: EncodedImages
  readonly whole: EncodedImages | undefined
}

/** How long after its time is up a silent connection is given up, in ms. */
const GRACE = 5000

function begin(budget: number): string {
  return `begin isolation level repeatable read read only; ${PIN_SETTINGS}; set local row_security = on;
    set local plan_cache_mode = force_generic_plan; set local lock_timeout = ${Math.ceil(budget / 2)}; set local statement_timeout = ${OURS}`
}

/** Longest that a statement of ours may take, in ms. */
const OURS = 30_000

/** invalid_sql_statement_name: somebody has reset the session. */
const GONE = '26000'
/** lock_not_available. */
const LOCKED = '55P03'

/** Takes back what a viewer's statements leave behind: the role, the claims, what functions have set; and an error. */
const CLEAN = 'rollback to savepoint listenql'
/** The same, but for the role. */
const CLEAN_CLAIMS = 'rollback to savepoint listenql_role'

/**
 * Asks the policies of one table about images for many viewers, in one transaction and, once all is prepared, one round trip:
 * for each viewer role and claims are set and a prepared statement is executed, under a statement_timeout of its own (from
 * PostgreSQL 13 on it holds for each statement of a message). A viewer for whom that fails is passed over.
 *
 * The rights and policies in force are read in the same snapshot, and compared with those that the statements were made of.
 * @param verdicts takes them as they come, so that they survive a lost connection
 * @throws LockedOut, or whatever ended the connection
 */
export async function runBatch(
  client: pg.PoolClient,
  batch: Batch,
  memory: BatchMemory,
  verdicts: Map<string, Verdict>,
): Promise<void> {
  const { rights, prepared } = memory
  const roles = [...new Set(batch.askers.map(({ role }) => role))]
  const literals = [textArray([batch.table.relid]), textArray(roles)]
  const known = roles.map(role => rights.get(role))
  if (known.every(text => text !== undefined) && prepared.has(client, RIGHTS)) {
    const plan = planOf(batch, memory)
    if (plan.asked.every(({ question, asker }) => prepared.has(client, question.text, asker.role))) {
      const head = `${begin(batch.budget)}; ${prepared.execute(RIGHTS, literals)}; ${handOver(plan)}`
      const isCurrent = (read: readonly string[]) => read.join('\n') === known.join('\n')
      if (await askAll(client, plan, memory, head, verdicts, isCurrent)) return
    }
  }
  await client.query(begin(batch.budget))
  const texts = await readRights(client, literals, prepared)
  const fresh = new Map(texts.map(text => [(JSON.parse(text) as TableRights).role, text]))
  for (const [role, text] of fresh) rights.set(role, text)
  await client.query(`set local statement_timeout = ${batch.budget * 4}; savepoint listenql`)
  const plan = planOf(batch, { ...memory, rights: fresh }) // `rights` is others' as well
  const refused = await prepareAll(client, plan, prepared)
  await client.query(CLEAN)
  const able: Plan = {
    ...plan,
    settled: new Map([...plan.settled, ...refused]),
    asked: plan.asked.filter(({ asker }) => !refused.has(asker.key)),
  }
  await askAll(client, able, memory, handOver(able), verdicts)
}

/** Postgres writes a policy as SQL under locks of the tables that it names. */
async function readRights(
  client: pg.PoolClient,
  literals: readonly string[],
  prepared: Prepared,
): Promise<string[]> {
  await prepared.provide(client, RIGHTS, '(pg_catalog.oid[], pg_catalog.text[])')
  try {
    return (await client.query<{ rights: string }>(prepared.execute(RIGHTS, literals))).rows.map(
      row => row.rights,
    )
  } catch (error) {
    if (sqlStateOf(error) !== LOCKED) throw error
    await client.query('rollback')
    throw new LockedOut('a lock is in the way', { cause: error })
  }
}

function planOf(batch: Batch, { rights, judge }: BatchMemory): Plan {
  const settled = new Map<string, Verdict>()
  const asked: Asked[] = []
  for (const asker of batch.askers) {
    const judgement = judge(batch.table, rights.get(asker.role))
    if (judgement.kind === 'refused') settled.set(asker.key, judgement.error)
    else if (judgement.kind === 'asked') asked.push({ asker, question: judgement })
    else
      settled.set(
        asker.key,
        batch.images.map(() => judgement.kind === 'all'),
      )
  }
  const questions = new Set(asked.map(({ question }) => question))
  const columns = new Set([...questions].flatMap(question => question.columns ?? []))
  const isWhole = [...questions].some(question => question.columns === undefined)
  return {
    batch,
    settled,
    asked,
    some: encodeImages([...columns], batch.images),
    whole: isWhole ? encodeImages(batch.table.columns, batch.images) : undefined,
  }
}

function handOver({ batch, some, whole }: Plan): string {
  const timeouts = `set local statement_timeout = ${batch.budget}`
  const wholes = whole ? `; set local ${WHOLE_IMAGES} = ${quoteLiteral(whole.text)}` : ''
  return `${timeouts}; set local ${IMAGES} = ${quoteLiteral(some.text)}${wholes}; savepoint listenql`
}

/** Statements that Postgres refuses, as errors of those whom they are for. */
async function prepareAll(
  client: pg.PoolClient,
  plan: Plan,
  prepared: Prepared,
): Promise<Map<string, ListenqlError>> {
  const refused = new Map<string, ListenqlError>()
  const seen = new Map<string, ListenqlError | undefined>()
  for (const { asker, question } of plan.asked) {
    const { key, role } = asker
    if (!seen.has(role)) {
      seen.set(role, await provideQuestion(client, plan.batch.table, role, question, prepared))
    }
    const error = seen.get(role)
    if (error) refused.set(key, error)
  }
  return refused
}

/** False: the rights are others by now; nothing of what was asked counts. */
async function askAll(
  client: pg.PoolClient,
  { batch, settled, asked, some, whole }: Plan,
  { prepared }: BatchMemory,
  begin: string,
  verdicts: Map<string, Verdict>,
  isCurrent?: (rights: readonly string[]) => boolean,
): Promise<boolean> {
  const read: string[] = []
  let head = begin
  for (let at = 0; ; at++) {
    const statements = asked.slice(at).map(({ asker, question }, i, all) => {
      const { role, claims } = asker
      const isSameRole = role === all[i - 1]?.asker.role
      const clean = isSameRole ? CLEAN_CLAIMS : `${CLEAN}; ${takeRoleSql(role)}; savepoint listenql_role`
      return `; ${clean}; ${takeClaimsSql(claims)}; ${prepared.execute(question.text, [String(at + i)], role)}`
    })
    const answers: (readonly [number, string])[] = []
    let failure: unknown
    try {
      const text = `${head}${statements.join('')}; ${CLEAN}; ${prepared.end(client, 'commit')}`
      await runSeveral(client, text, OURS + GRACE, row => {
        if (row.length === 1) read.push(String(row[0]))
        else answers.push([Number(row[0]), row[1] === null ? '' : String(row[1])])
      })
    } catch (error) {
      if (sqlStateOf(error) === undefined) throw error
      failure = error
    }
    if (at === 0 && failure !== undefined && isCurrent !== undefined && read.length === 0) {
      if (sqlStateOf(failure) !== LOCKED) throw failure
      await client.query('rollback')
      throw new LockedOut('a lock is in the way', { cause: failure })
    }
    if (at === 0 && isCurrent?.(read) === false) {
      if (failure !== undefined) await rollBack(client, prepared)
      return false
    }
    if (at === 0) for (const [key, verdict] of settled) verdicts.set(key, verdict)
    for (const [i, answer] of answers) {
      const { asker, question } = asked[i] as Asked
      const { counts } = question.columns ? some : (whole as EncodedImages)
      const columns = question.columns ?? batch.table.columns
      const verdict = decodeVerdicts(answer, counts)
      verdicts.set(
        asker.key,
        verdict.map((isVisible, j) => isVisible && isJudgeable(batch.images[j] as RowImage, columns)),
      )
    }
    if (failure === undefined) {
      prepared.ended(client)
      return true
    }
    at += answers.length
    const failed = asked[at]
    if (!failed || sqlStateOf(failure) === GONE) throw failure
    if (sqlStateOf(failure) === LOCKED) {
      await rollBack(client, prepared)
      throw new LockedOut('a lock is in the way', { cause: failure })
    }
    verdicts.set(failed.asker.key, explain(batch, failure))
    head = CLEAN
  }
}

function explain({ table, budget }: Batch, error: unknown): ListenqlError {
  return sqlStateOf(error) === '57014' ? policiesTooSlow(table, budget, error) : policiesFailed(table, error)
}
