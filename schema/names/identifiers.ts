/**
 * How a name in Postgres, which may be any text, becomes a name in GraphQL: ASCII letters, digits and underscores, without two
 * underscores in front.
 */

/** Latin letters that Unicode does not decompose. */
const LETTERS: Readonly<Record<string, string>> = {
  ß: 'ss', ẞ: 'Ss', æ: 'ae', Æ: 'Ae', œ: 'oe', Œ: 'Oe', ø: 'o', Ø: 'O', đ: 'd', Đ: 'D', ð: 'd', Ð: 'D', ł: 'l', Ł: 'L', þ: 'th', Þ: 'Th', ı: 'i',
} // biome-ignore format: a table

/** Whether the name is valid in GraphQL, apart from its case and underscores. */
export function isPlain(name: string): boolean {
  return /^(?!__)\w*[A-Za-z0-9]\w*$/.test(name) && !/^\d/.test(name)
}

/** `user_id` and `UserId` are `userId`, `ID` is `id`, `_id` stays, `2fa` is `_2fa`, `größe (cm)` is `grosseCm`, `%` is `u25`. */
export function camelCase(...names: readonly string[]): string {
  const [first = '', ...rest] = names.flatMap(words)
  const head = /[a-z]/.test(first) ? lowerFirst(first) : first.toLowerCase()
  return (names[0]?.startsWith('_') ? '_' : digitSafe(head)) + head + rest.map(upperFirst).join('')
}

/** A name that a comment gives as the name of a field: `ChatMessages` is `chatMessages`. */
export function fieldCase(name: string): string {
  return lowerFirst(name)
}

/** `chatMessages` as the name of a type: `ChatMessages`. Different fields result in different types. */
export function typeCase(field: string): string {
  return field.replace(/^_?[a-z]/, start => start.toUpperCase())
}

/**
 * The name of an enum's label: itself if it is valid in GraphQL; `in progress` is `in_progress`, `1st` is `_1st`, `true` is
 * `true_`, '' is `empty_`.
 */
export function labelName(label: string): string {
  if (label === '') return 'empty_'
  if (label === 'true' || label === 'false' || label === 'null') return `${label}_`
  if (isLegal(label)) return label
  const name = spelled(label).replace(/_$/, '')
  return name === '' ? codes(label) : digitSafe(name) + name
}

export function isLegal(name: string): boolean {
  return /^(?!__)[A-Za-z_]\w*$/.test(name)
}

/**
 * The parts between underscores and other characters that are not letters or digits, in lower case if the name is in capitals.
 * Never empty.
 */
function words(name: string): string[] {
  const text = spelled(/\p{Ll}/u.test(name) ? name : name.toLowerCase())
  const parts = text.split('_').filter(part => part !== '')
  return parts.length > 0 ? parts : [codes(name)]
}

/** In ASCII letters, digits and underscores; letters without an ASCII equivalent become `u` and their code, `日` becomes `u65e5`. */
function spelled(name: string): string {
  return name
    .normalize('NFC')
    .replace(/([A-Za-z])\p{M}+/gu, '$1')
    .replace(/[^\w]/gu, character => {
      const ascii = LETTERS[character] ?? character.normalize('NFKD').replace(/\p{M}/gu, '')
      if (/^[A-Za-z0-9]+$/.test(ascii)) return ascii
      return /[\p{L}\p{N}\p{M}]/u.test(character) ? code(character) : '_'
    })
    .replace(/_+/g, '_')
}

function codes(name: string): string {
  return name === '' ? 'unnamed' : [...name].map(code).join('')
}

function code(character: string): string {
  return `u${character.codePointAt(0)?.toString(16)}`
}

function digitSafe(name: string): string {
  return /^\d/.test(name) ? '_' : ''
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
