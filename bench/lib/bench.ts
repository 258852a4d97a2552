import type { BenchDatabase } from './database.js'
import type { Variant } from './variants.js'

/** The argument of every case. */
export interface Bench {
  readonly database: BenchDatabase
  readonly rounds: number
  /** Seconds of measuring, for each variant in each round. */
  readonly seconds: number
  /** Numbers of subscribers; undefined: those of the case. */
  readonly sizes: readonly number[] | undefined
  /** Events per second; undefined: that of the case. */
  readonly rate: number | undefined
  /** Rows in a burst, or events to resume for; undefined: those of the case. */
  readonly rows: number | undefined
  /** The chosen variants; each case runs those that apply to it. */
  readonly variants: readonly Variant[]
  /** Folder for CPU profiles of the servers; undefined: none are written, because profiling costs time. */
  readonly profile: string | undefined
  /** Reports progress on stderr. */
  progress(text: string): void
  /** Prints a result, such as a table, on stdout. */
  print(text: string): void
}

/** @returns whether the process may open that many files; if not, it prints that the case is skipped */
export function hasFiles(bench: Bench, sockets: number): boolean {
  const report = process.report?.getReport() as
    | { userLimits?: { open_files?: { soft: number | string } } }
    | undefined
  const limit = report?.userLimits?.open_files?.soft
  const needed = sockets + 200
  if (typeof limit !== 'number' || limit >= needed) return true
  bench.print(
    `${sockets} subscribers are left out: they take ${needed} open files in one process, and the limit is ${limit}. ` +
      `Raise it with \`ulimit -n ${needed}\` (as root: \`ulimit -Hn ${needed} && ulimit -n ${needed}\`) and run this case again.\n`,
  )
  return false
}

/**
 * Runs every variant once in each round, one after the other. A variant that fails is reported and left out of that round.
 * @returns the results of each variant, by round
 */
export async function interleave<R>(
  bench: Bench,
  title: string,
  variants: readonly Variant[],
  run: (variant: Variant, round: number) => Promise<R>,
): Promise<Map<Variant, (R | undefined)[]>> {
  const results = new Map<Variant, (R | undefined)[]>(variants.map(variant => [variant, []]))
  for (let round = 0; round < bench.rounds; round++) {
    for (const variant of variants) {
      bench.progress(`${title}: round ${round + 1} of ${bench.rounds}, ${variant.name}`)
      let result: R | undefined
      try {
        result = await run(variant, round)
      } catch (error) {
        bench.print(
          `${title}, round ${round + 1}, ${variant.name}: no figure, ${error instanceof Error ? error.message : error}\n`,
        )
      }
      results.get(variant)?.push(result)
    }
  }
  return results
}
