import { createImageReader, elementsOf, mendImage, type RowImage } from '../filters/index.js'
import type { Decode } from '../postgres/text-encoding.js'
import { shownColumns } from './json-sql.js'
import type { Plan, PlanNode } from './plan.js'

/** A row, an aggregate or a group of a plan, with what is linked to it by the names of the node's children. */
export type PlanRow = RowImage & {
  readonly linked?: ReadonlyMap<string, readonly PlanRow[]>
  /** Of a row in a list at the top: the row and what is linked to it, as Postgres wrote it. Rows of one plan with equal texts are equal. */
  readonly text?: string
}

/** A result has more rows than its plan allows. */
export class TooManyRows extends Error {
  readonly max: number

  constructor(max: number) {
    super(`the result has more than ${max} rows`)
    this.max = max
  }
}

/** Reads the rows that `planSql` returns, each as its JSON text. @throws TooManyRows, SyntaxError */
export function readPlanRows(
  { root, maxRows = Number.POSITIVE_INFINITY }: Plan,
  texts: readonly string[],
): PlanRow[] {
  let count = texts.length
  const read = readerOf(root, rows => {
    count += rows
    if (count > maxRows) throw new TooManyRows(maxRows)
  })
  return texts.map(root.kind === 'roots' ? read : withText(read))
}

type ReadRow = (text: string) => PlanRow

function withText(read: ReadRow): ReadRow {
  return text => Object.assign(read(text), { text })
}

/** @param counted called with the number of rows before they are read */
function readerOf(node: PlanNode, counted: (rows: number) => void): ReadRow {
  const readImage = createImageReader(shownColumns(node))
  if (node.kind === 'groups' || node.children.size === 0) return readImage
  const children = [...node.children].map(([name, child]) => {
    const read = readerOf(child, counted)
    return { name, read: node.kind === 'roots' ? withText(read) : read }
  })
  return text => {
    const [image = '', ...rest] = elementsOf(text)
    const linked = new Map(
      children.map(({ name, read }, i) => {
        const rows = rest[i] ?? 'null'
        const elements = rows === 'null' ? [] : elementsOf(rows) // without a linked row, the outer join leaves NULL
        counted(elements.length)
        return [name, elements.map(read)]
      }),
    )
    return Object.assign(readImage(image), { linked })
  }
}

/**
 * A row that `planSql` returns, as bytes: unreadable values are null and named in their image. JSON's own characters are ASCII in every
 * encoding of a server, so one character for each byte is enough to find the images.
 */
export async function mendPlanRow(bytes: Buffer, decode: Decode): Promise<string> {
  const [text] = await decode([bytes])
  return text ?? mend(bytes.toString('latin1'), decode)
}

async function mend(text: string, decode: Decode): Promise<string> {
  if (text.startsWith('{')) return (await mendImage(Buffer.from(text, 'latin1'), decode)).text
  if (!text.startsWith('[')) return text
  const parts: string[] = []
  for (const element of elementsOf(text)) parts.push(await mend(element, decode))
  return `[${parts.join(',')}]`
}
