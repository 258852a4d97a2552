import type { Cluster, Programs } from './callgrind.js'
import { countInstructions } from './callgrind.js'
import type { Case } from './cases.js'

/** @returns instructions for one run of a case: the start and the end of the process, and what is planned once, cancel out */
export async function measure(
  programs: Programs,
  cluster: Cluster,
  { few, many, statements }: Case,
  profile?: string,
): Promise<number> {
  const less = await countInstructions(programs, cluster, statements(few))
  const more = await countInstructions(programs, cluster, statements(many), profile)
  return Math.round((more - less) / (many - few))
}
