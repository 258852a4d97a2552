import type { StatementRows } from '../../postgres/statements/multi-statement.js'

/** A message of several statements, with what follows from the rows of those that return columns. */
export class Message {
  readonly #statements: string[] = []
  readonly #takers: ((rows: StatementRows) => void)[] = []

  get sql(): string {
    return this.#statements.join('; ')
  }

  /** Adds one or more statements that return no columns. */
  run(sql: string): void {
    this.#statements.push(sql)
  }

  /** Adds statements of which one returns columns. @param take gets its rows; undefined: they were too large */
  ask(sql: string, take: (rows: StatementRows) => void = () => undefined): void {
    this.#statements.push(sql)
    this.#takers.push(take)
  }

  /** @param results of the statements that return columns, in their order */
  take(results: readonly StatementRows[]): void {
    this.#takers.forEach((take, i) => {
      take(results[i])
    })
  }
}

/** The images that a statement of `limitedSql` has returned. Undefined: they were too large, all together or one by itself. */
export function imagesOf(rows: StatementRows): readonly string[] | undefined {
  if (!rows?.every(({ image }) => image !== null)) return undefined
  return rows.map(({ image }) => image as string)
}
