import type { Readable, Writable } from 'node:stream'
import type { Environment, LoadedSettings, OptionKey, PlainFlag } from '../../config/index.js'

/** Where a command reads and writes. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable
  readonly stderr: Writable
}

/** The arguments and environment of a command. */
export interface Invocation extends Streams {
  /** The arguments that are not flags, in order. */
  readonly words: readonly string[]
  /** The command's own flags: their values, or true. */
  readonly plain: ReadonlyMap<string, string | true>
  /** All values of the command's flags that may be given several times. */
  readonly repeated: ReadonlyMap<string, readonly string[]>
  readonly env: Environment
  /**
   * The settings from all sources.
   * @param former the configuration file that was read before, which is read again: without it, settings would get their defaults if
   * the file were missing for a moment. Undefined: the file is sought in the usual places
   * @throws ListenqlError BAD_CONFIGURATION
   */
  load(former?: string): LoadedSettings
}

export interface Command {
  readonly name: string
  /** One line, for the list of commands. */
  readonly summary: string
  /** The text after `listenql` in the line about usage. */
  readonly usage: string
  /** One paragraph on what it does. */
  readonly description: string
  /** Lines to copy, each with what it does. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** The options of the configuration that it accepts as flags. */
  readonly options: readonly OptionKey[]
  readonly flags: readonly PlainFlag[]
  /** How many arguments it accepts. */
  readonly words: { readonly min: number; readonly max: number; readonly what: string }
  /** It continues when the reader of its output has gone. */
  readonly outlivesStdout?: boolean
  /** @returns the exit code. It imports its modules itself, so that other commands need not load them. */
  run(invocation: Invocation): Promise<number>
}
