import { readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { ListenqlError, messageOf } from '../lib/errors.js'
import type { Given } from './layer.js'
import { OPTION_LIST, spellings } from './names.js'
import { type OptionKey, WITHOUT_MEANING } from './options.js'
import { wrongValue } from './settings.js'
import { didYouMean } from './suggest.js'

/** Paths of configuration files; the first file that exists is used. Relative to the current directory. */
export const FILE_PLACES: readonly string[] = [
  'config/listenql.toml',
  'listenql.toml',
  '/config/listenql.toml',
  '/etc/listenql.toml',
  'config/pg_eventserv.toml',
  '/config/pg_eventserv.toml',
  '/etc/pg_eventserv.toml',
]

/** @param root replaces `/` in absolute paths */
export function findFile(cwd: string, root = '/'): string | undefined {
  return FILE_PLACES.map(place => (place.startsWith('/') ? join(root, place) : resolve(cwd, place))).find(
    isFile,
  )
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

/**
 * Reads a configuration file. Keys may be written in any case, as in pg_eventserv.
 * @throws ListenqlError BAD_CONFIGURATION
 */
export function readFile(path: string, cwd: string): { layer: Map<OptionKey, Given>; warnings: string[] } {
  const name = displayName(path, cwd)
  const text = read(path, name)
  const layer = new Map<OptionKey, Given>()
  const warnings: string[] = []
  for (const [key, value] of Object.entries(parseToml(text, name))) {
    const where = `${name}${lineOf(key, text)}: ${key}`
    const option = OPTION_LIST.find(one => sameKey(one.toml, key))
    const meaningless = Object.keys(WITHOUT_MEANING).find(one => sameKey(one, key))
    if (meaningless !== undefined) {
      warnings.push(`${where} has no effect: ${WITHOUT_MEANING[meaningless]}`)
      continue
    }
    if (!option) throw unknownKey(where, key)
    const earlier = layer.get(option.key)
    if (earlier) {
      throw new ListenqlError('BAD_CONFIGURATION', `${where} is set twice; the first is ${earlier.where}`)
    }
    try {
      layer.set(option.key, { value: option.type.fromToml(value), where })
    } catch (error) {
      throw wrongValue(option, where, value, error)
    }
  }
  return { layer, warnings }
}

function read(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const problem = missing ? 'does not exist' : `cannot be read: ${messageOf(error)}`
    throw new ListenqlError('BAD_CONFIGURATION', `the configuration file ${name} ${problem}`)
  }
}

function parseToml(text: string, name: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // Only the first line of the message: the others quote the file, which may hold a password.
    const problem = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '')
    throw new ListenqlError('BAD_CONFIGURATION', `${name}:${error.line}:${error.column}: ${problem}`)
  }
}

function unknownKey(where: string, key: string): ListenqlError {
  const candidates = OPTION_LIST.map(option => ({ name: option.toml, also: spellings(option) }))
  const meant = didYouMean(key, [...candidates, ...Object.keys(WITHOUT_MEANING)])
  return new ListenqlError('BAD_CONFIGURATION', `${where} is not a known key${meant}`)
}

/** The line of a key, as `:3`, since the parser does not report it; empty if it cannot be found (a key with escapes). */
function lineOf(key: string, text: string): string {
  const start = new RegExp(`^\\s*\\[*\\s*["']?${key.replace(/[^\w]/g, '\\$&')}["']?\\s*[=.\\]]`)
  const index = text.split('\n').findIndex(line => start.test(line))
  return index < 0 ? '' : `:${index + 1}`
}

function sameKey(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function displayName(path: string, cwd: string): string {
  const name = relative(cwd, path)
  return name.startsWith('..') ? path : name
}
