import { sign } from '../../support/tokens.js'
import { MEMBER } from './policies.js'
import type { Schema } from './schema.js'

/** What a viewer has for a token, and what it may see. */
export interface Sight {
  /** Undefined: none. */
  readonly token: string | undefined
  /** The claim by which policies show rows. Undefined: they show all rows. */
  readonly grade: string | undefined
}

/** The viewers of a schema: one that sees all rows and, if there are policies, two that do not. */
export async function createSights({ policies, grades }: Schema): Promise<readonly Sight[]> {
  const all: Sight = { token: undefined, grade: undefined }
  if (policies.length === 0) return [all]
  const some = grades.slice(0, 2).map(async grade => ({ token: await sign({ role: MEMBER, grade }), grade }))
  return [all, ...(await Promise.all(some))]
}
