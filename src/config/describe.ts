import type { NamedOption } from './names.js'

/** `10s`, `16MiB`, `*`, `none`, or a description of the default. */
export function describeDefault({ type, default: value, otherwise }: NamedOption): string {
  if (value === undefined) return otherwise ?? 'none'
  if (Array.isArray(value)) return value.join(',') || 'none'
  if (type.kind === 'table' && Object.keys(value as object).length === 0) return 'none'
  return type.format(value as NonNullable<unknown>).replace(/^"(.*)"$/, '$1')
}

/** How the flag is written: `--port PORT`, `-d, --debug`, `--[no-]graphiql`. */
export function describeFlag({ flag, short, type, default: value }: NamedOption): string {
  // An option that is on by default can be turned off.
  if (type.kind === 'boolean' && value !== false) return `--[no-]${flag}`
  return `${short === undefined ? '' : `-${short}, `}--${flag}${type.placeholder && ` ${type.placeholder}`}`
}
