import { parseArgs } from 'node:util'
import { ListenqlError } from '../lib/errors.js'
import type { Given } from './layer.js'
import { type NamedOption, OPTION_LIST, spellings } from './names.js'
import type { OptionKey } from './options.js'
import { wrongValue } from './settings.js'
import { didYouMean } from './suggest.js'
import type { Table } from './value-type.js'

/** A flag that is not an option of the configuration: of one command, or of all. */
export interface PlainFlag {
  /** Without dashes in front. */
  readonly flag: string
  readonly short?: string
  /** Name of its value in usage lines; a flag without one is on or off. */
  readonly placeholder?: string
  /** It may be given several times; its values are in `ParsedFlags.repeated`. */
  readonly repeats?: true
  readonly help: string
}

/** Flags that every command accepts. */
export const COMMON_FLAGS: readonly PlainFlag[] = [
  { flag: 'config', short: 'c', placeholder: 'FILE', help: 'Configuration file to use (LISTENQL_CONFIG)' },
  { flag: 'help', short: 'h', help: 'Show this help' },
  { flag: 'version', short: 'v', help: 'Show the version' },
]

export interface ParsedFlags {
  /** The options of the configuration, parsed and checked. */
  readonly layer: ReadonlyMap<OptionKey, Given>
  /** The plain flags: their values, or true. */
  readonly plain: ReadonlyMap<string, string | true>
  /** All values of plain flags that may be given several times, in order. */
  readonly repeated: ReadonlyMap<string, readonly string[]>
  /** The arguments that are not flags, in order. */
  readonly words: readonly string[]
}

interface Expected {
  readonly keys: readonly OptionKey[]
  readonly plain: readonly PlainFlag[]
}

/**
 * Reads `--flag value`, `--flag=value`, `--no-flag`, `-f value`; `--` ends the flags. A list may be given in several flags.
 * @throws ListenqlError BAD_CONFIGURATION; the error never quotes the value of a secret option or of an unknown flag
 */
export function parseFlags(argv: readonly string[], { keys, plain }: Expected): ParsedFlags {
  const options = OPTION_LIST.filter(({ key }) => keys.includes(key))
  const flags = [...plain, ...COMMON_FLAGS]
  const layer = new Map<OptionKey, Given>()
  const found = new Map<string, string | true>()
  const repeated = new Map<string, string[]>()
  const words: string[] = []
  for (const token of tokensOf(argv, options, flags)) {
    if (token.kind === 'positional') words.push(token.value)
    if (token.kind !== 'option') continue
    const { name, inlineValue } = token
    // A flag where a value is expected means that the value was forgotten.
    const value =
      !inlineValue && token.value?.startsWith('-') && token.value !== '-' ? undefined : token.value
    const flag = flags.find(one => one.flag === name)
    const option = options.find(one => one.flag === name)
    const negated = options.find(one => one.type.kind === 'boolean' && `no-${one.flag}` === name)
    if (flag) {
      const read = readPlain(flag, value)
      found.set(name, read)
      if (flag.repeats && read !== true) repeated.set(name, [...(repeated.get(name) ?? []), read])
    } else if (option) layer.set(option.key, readOption(option, value, layer.get(option.key)))
    else if (negated && value === undefined) layer.set(negated.key, { value: false, where: `--${name}` })
    else if (negated) throw refusal(`--${name} takes no value`)
    else throw unknownFlag(token.rawName, options, flags)
  }
  return { layer, plain: found, repeated, words }
}

function tokensOf(argv: readonly string[], options: readonly NamedOption[], flags: readonly PlainFlag[]) {
  const specs = [
    ...flags.map(({ flag, short, placeholder }) => ({ flag, short, takesValue: placeholder !== undefined })),
    ...options.map(({ flag, short, type }) => ({ flag, short, takesValue: type.kind !== 'boolean' })),
  ]
  const config = specs.map(({ flag, short, takesValue }) => {
    const spec = { type: takesValue ? ('string' as const) : ('boolean' as const), ...(short && { short }) }
    return [flag, spec] as const
  })
  // Not strict: the messages of parseArgs quote values, and suggest no similar flags.
  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(config),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  return tokens
}

function readPlain({ flag, placeholder }: PlainFlag, value: string | undefined): string | true {
  if (placeholder === undefined && value !== undefined) throw refusal(`--${flag} takes no value`)
  if (placeholder !== undefined && !value) throw refusal(`--${flag} needs a value: --${flag} ${placeholder}`)
  return value ?? true
}

function readOption(option: NamedOption, value: string | undefined, earlier?: Given): Given {
  const { type, flag } = option
  const where = `--${flag}`
  if (value === undefined && type.kind === 'boolean') return { value: true, where }
  if (value === undefined) throw refusal(`${where} needs a value: ${where} ${type.placeholder}`)
  try {
    const read = type.parse(value)
    return { value: earlier ? added(type.kind, earlier.value, read) : read, where }
  } catch (error) {
    throw wrongValue(option, where, value, error)
  }
}

/** Several flags of a list or a table add up; of any other option the last flag wins. */
function added(kind: NamedOption['type']['kind'], before: unknown, read: unknown): unknown {
  if (kind === 'list') return [...(before as unknown[]), ...(read as unknown[])]
  if (kind !== 'table') return read
  const table = { ...(before as Table) }
  for (const [name, items] of Object.entries(read as Table)) table[name] = [...(table[name] ?? []), ...items]
  return table
}

function unknownFlag(
  rawName: string,
  options: readonly NamedOption[],
  flags: readonly PlainFlag[],
): ListenqlError {
  const elsewhere = OPTION_LIST.some(({ flag }) => rawName === `--${flag}` || rawName === `--no-${flag}`)
  const candidates = [
    ...flags.map(({ flag }) => ({ name: `--${flag}` })),
    ...options.flatMap(option => [
      { name: `--${option.flag}`, also: spellings(option) },
      ...(option.type.kind === 'boolean' ? [{ name: `--no-${option.flag}` }] : []),
    ]),
  ]
  return elsewhere
    ? refusal(`this command does not take ${rawName}`)
    : refusal(`there is no flag ${rawName}${didYouMean(rawName, candidates)}`)
}

function refusal(message: string): ListenqlError {
  return new ListenqlError('BAD_CONFIGURATION', message)
}
