import type { Readable, Writable } from 'node:stream'
import type { Environment, LoadedSettings, OptionKey, PlainFlag } from '../../config/index.js'

/** Where a command reads and writes. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable
  readonly stderr: Writable
}

/** What a command is run with. */
export interface Invocation extends Streams {
  /** What is no flag, in order. */
  readonly words: readonly string[]
  /** The command's own flags: their values, or true. */
  readonly plain: ReadonlyMap<string, string | true>
  readonly env: Environment
  /** The settings from everywhere. @throws ListenqlError BAD_CONFIGURATION */
  load(): LoadedSettings
}

export interface Command {
  readonly name: string
  /** One line, for the list of commands. */
  readonly summary: string
  /** What stands after `listenql`. */
  readonly usage: string
  /** One paragraph on what it does. */
  readonly description: string
  /** Lines to copy, each with what it does. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** The options of the configuration that it takes as flags. */
  readonly options: readonly OptionKey[]
  readonly flags: readonly PlainFlag[]
  /** How many words it takes. */
  readonly words: { readonly min: number; readonly max: number; readonly what: string }
  /** It goes on when nobody reads its output any more. */
  readonly outlivesStdout?: boolean
  /** @returns the exit code. Modules are imported in here, so that other commands need not load them. */
  run(invocation: Invocation): Promise<number>
}
