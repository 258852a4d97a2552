import { Writable } from 'node:stream'
import { pino } from 'pino'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LoggerOptions {
  readonly level: LogLevel
  /** `text` for people, `json` for machines, `auto`: text if `stream` is a terminal. */
  readonly format: 'auto' | 'text' | 'json'
  /** Default: stderr, so that stdout holds only the output of commands. */
  readonly stream?: NodeJS.WriteStream
}

/** One level of a log: takes a message, with details before it if there are any. */
export interface LogEntry {
  (message: string): void
  (details: object, message: string): void
}

/** The log of a server: pino, or any object with these functions. */
export interface Logger {
  readonly debug: LogEntry
  readonly info: LogEntry
  readonly warn: LogEntry
  readonly error: LogEntry
}

export function createLogger({ level, format, stream = process.stderr }: LoggerOptions): Logger {
  const asText = format === 'text' || (format === 'auto' && stream.isTTY)
  const destination = asText ? textStream(stream) : stream
  return pino({ level, base: null, formatters: { level: label => ({ level: label }) } }, destination)
}

/** One line per entry: time, level, message, and all other fields as key=value. */
function textStream(stream: NodeJS.WriteStream): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      stream.write(`${formatLine(String(chunk))}\n`)
      done()
    },
  })
}

function formatLine(json: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(json) as Record<string, unknown>
  const clock = new Date(Number(time)).toTimeString().slice(0, 8)
  const details = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const stack = typeof err === 'object' && err !== null && 'stack' in err ? [`\n${err.stack}`] : []
  return [clock, String(level).toUpperCase().padEnd(5), msg, ...details, ...stack].join(' ')
}
