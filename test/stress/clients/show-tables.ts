import { waitUntil } from '../../support/wait.js'
import type { Helper, Tables } from './helper.js'

export interface ShowTablesOptions {
  /** Faults that have been found so far: one ends the wait. */
  readonly complaints: readonly string[]
  /** In ms. */
  readonly patience: number
}

/**
 * Waits until every helper shows what the tables contain, which must not change meanwhile.
 * @returns the number of helpers
 */
export async function showTables(
  helpers: readonly Helper[],
  tables: Tables,
  { complaints, patience }: ShowTablesOptions,
): Promise<number> {
  const isRight = ({ shown, wanted }: Helper) => JSON.stringify(shown()) === JSON.stringify(wanted(tables))
  const words = ({ name, status, shown, wanted }: Helper) =>
    `${name} (${status()})\n${difference(JSON.stringify(shown()), JSON.stringify(wanted(tables)))}`
  const late = () => helpers.filter(helper => !isRight(helper))
  await waitUntil(
    () => complaints.length > 0 || late().length === 0,
    () => `what is on the screen to equal the tables:\n${late().map(words).join('\n')}`,
    patience,
  )
  return helpers.length
}

/** The part of two texts from a little before their first difference on. */
function difference(shown = 'nothing', wanted = 'nothing'): string {
  let at = 0
  while (at < wanted.length && shown[at] === wanted[at]) at++
  const part = (text: string) => text.slice(Math.max(0, at - 80), at + 160)
  return `shows … ${part(shown)} …\nnot   … ${part(wanted)} …`
}
