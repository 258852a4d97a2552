/** A decimal number taken apart; equal numbers have equal parts, whatever their notation. */
export interface Decimal {
  readonly sign: string
  /** Without leading and trailing zeros; empty for 0. */
  readonly digits: string
  /** Power of ten by which the digits are multiplied. */
  readonly exponent: number
}

/** @param text a number of JSON (RFC 8259, section 6), or of JavaScript: `1.50`, `-1e3`; of any other text, such as `Infinity`: 0 */
export function decimalOf(text: string): Decimal {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const head = (whole + fraction).replace(/^0+/, '')
  const digits = withoutLastZeros(head)
  if (digits === '') return { sign: '', digits, exponent: 0 }
  return { sign, digits, exponent: Number(power) - fraction.length + (head.length - digits.length) }
}

/** Whether JavaScript's nearest number, written as JavaScript writes it, is the number of `text`. */
export function isExactNumber(text: string): boolean {
  const nearest = Number(text)
  if (!Number.isFinite(nearest)) return false
  const [shown, exact] = [decimalOf(String(nearest)), decimalOf(text)]
  return shown.sign === exact.sign && shown.digits === exact.digits && shown.exponent === exact.exponent
}

/** A regular expression would look at each run of zeros from each of its zeros: 8 s for 130,000 digits. */
function withoutLastZeros(digits: string): string {
  let end = digits.length
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end--
  return digits.slice(0, end)
}
