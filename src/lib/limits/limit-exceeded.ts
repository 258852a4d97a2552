import { ListenqlError } from '../errors.js'

/** A limit of the server is exceeded: the code is LIMIT_EXCEEDED, and `limit` names the option. */
export class LimitExceeded extends ListenqlError {
  /** Key of the option, such as `maxDepth`. */
  readonly limit: string
  /** Its value. */
  readonly max: number

  /** @param message one line about what exceeds the limit, without the name of the option */
  constructor(limit: string, max: number, message: string, hint?: string) {
    super('LIMIT_EXCEEDED', message, {
      hint: hint ?? `the option ${flagOf(limit)} of the server sets the limit`,
    })
    this.limit = limit
    this.max = max
  }

  /** One line for where there is room for nothing else: a close frame, the text of a response. */
  get line(): string {
    return `${this.code} ${this.limit}: ${this.message}`
  }
}

/** `--max-depth` of `maxDepth`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}
