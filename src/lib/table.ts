/** A column of a printed table. */
export interface TableColumn {
  readonly name: string
  readonly align: 'left' | 'right'
}

/**
 * Rows as lines of text with aligned columns, in psql's style, each line ended with a newline. Null cells are shown as
 * `NULL`; characters that would affect the terminal are escaped. Without columns there is still a line for each row.
 */
export function formatTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly (string | null)[])[],
): string {
  const heads = columns.map(column => escapeControls(column.name))
  const cells = rows.map(row => columns.map((_, i) => escapeControls(row[i] ?? 'NULL')))
  const widths = heads.map((head, i) =>
    cells.reduce((widest, row) => Math.max(widest, textWidth(row[i] ?? '')), textWidth(head)),
  )
  const line = (parts: readonly string[], place: (part: string, i: number) => string) =>
    ` ${parts.map(place).join(' | ')}`.trimEnd()
  const room = (text: string, i: number) => (widths[i] ?? 0) - textWidth(text)
  const lines = [
    line(heads, (head, i) => ' '.repeat(room(head, i) >> 1) + head + ' '.repeat((room(head, i) + 1) >> 1)),
    widths.map(width => '-'.repeat(width + 2)).join('+') || '--',
    ...cells.map(row =>
      line(row, (cell, i) => {
        const blanks = ' '.repeat(room(cell, i))
        return columns[i]?.align === 'right' ? blanks + cell : cell + blanks
      }),
    ),
  ]
  return `${lines.join('\n')}\n`
}

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Escapes control characters, and characters that change the direction of text: `\n`, `\x1B`, `\u202E`. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, character => {
    const hex = character.charCodeAt(0).toString(16).toUpperCase()
    return NAMED[character] ?? (hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`)
  })
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Number of terminal columns of a text: East Asian wide characters and emoji take two, combining marks none. */
export function textWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) {
    let widest = 0
    for (const character of segment) widest = Math.max(widest, characterWidth(character))
    width += widest
  }
  return width
}

/** Ranges of Unicode's East_Asian_Width W and F (https://www.unicode.org/reports/tr11/), joined over unassigned gaps. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]|\ufe0f/u

function characterWidth(character: string): number {
  if (WIDE.test(character)) return 2
  return /[\p{Mn}\p{Me}\p{Cf}]/u.test(character) ? 0 : 1
}
