import { ListenqlError } from '../lib/errors.js'

export function refusal(message: string, hint: string): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', message, { hint })
}

/** Refuses keywords, unless their value is the one that applies anyway. @throws ListenqlError BAD_CONFIGURATION */
export function requireHarmless(
  keyword: string,
  text: string | undefined,
  harmless: readonly string[],
): void {
  if (text === undefined || harmless.includes(text)) return
  throw refusal(`${keyword}=${text} is not supported`, `use ${keyword}=${harmless[0]}, or leave it out`)
}
