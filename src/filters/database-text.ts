import type { Filter } from './filter.js'

/** How a database stores texts, which SQL has to take into account to compare them as the server does, by code point. */
export interface DatabaseText {
  /**
   * Under COLLATE "C", texts sort by the bytes of the encoding: by code point in UTF8, in LATIN1, and in SQL_ASCII, where they
   * are UTF-8 bytes.
   */
  readonly sortsByCodePoint: boolean
  /** Texts are bytes without an encoding (SQL_ASCII): `_` in LIKE stands for a byte. Stored texts are treated as UTF-8. */
  readonly isBytes: boolean
  /** Whether the encoding lacks a character of this text, so that the text cannot be a parameter. */
  lacks(text: string): boolean
}

export const UTF8_TEXT: DatabaseText = { sortsByCodePoint: true, isBytes: false, lacks: () => false }

/**
 * @param encoding the value of `server_encoding`
 * @param lacking the texts that Postgres cannot convert, of those that matter
 */
export function databaseText(encoding: string, lacking: ReadonlySet<string>): DatabaseText {
  return {
    sortsByCodePoint: ['UTF8', 'LATIN1', 'SQL_ASCII'].includes(encoding),
    isBytes: encoding === 'SQL_ASCII',
    lacks: text => lacking.has(text),
  }
}

/** One code point in UTF-8, in a regular expression of a database whose texts are bytes. */
const CODE_POINT =
  '(?:[\\u0001-\\u007f]|[\\u00c2-\\u00df][\\u0080-\\u00bf]|[\\u00e0-\\u00ef][\\u0080-\\u00bf]{2}|[\\u00f0-\\u00f4][\\u0080-\\u00bf]{3})'

/**
 * The regular expression of Postgres that is equivalent to a pattern of LIKE, with `_` for a code point; undefined if LIKE itself
 * gives the same result.
 */
export function likeOfBytes(pattern: string): string | undefined {
  let hasWildcard = false
  const parts = pattern.replace(/\\([\s\S])|[\s\S]/gu, (char, escaped: string | undefined) => {
    if (escaped === undefined && char === '%') return '.*'
    if (escaped === undefined && char === '_') {
      hasWildcard = true
      return CODE_POINT
    }
    return (escaped ?? char).replace(/[\\^$.|?*+(){}[\]]/, '\\$&')
  })
  return hasWildcard ? `^(?:${parts})$` : undefined
}

/** The texts of a filter that an encoding may lack: those that are not ASCII. */
export function textsOf(filter: Filter): string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filter.filters.flatMap(textsOf)
    case 'not':
    case 'related':
      return textsOf(filter.filter)
    case 'compare':
      return beyondAscii([filter.operand.text])
    case 'in':
      return beyondAscii(filter.operands.map(({ text }) => text))
    case 'like':
      return beyondAscii([filter.pattern])
    case 'isNull':
      return []
  }
}

function beyondAscii(texts: readonly string[]): string[] {
  return texts.filter(text => /\P{ASCII}/u.test(text))
}
