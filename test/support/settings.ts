import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type LoadedSettings, loadSettings, OPTION_LIST, parseFlags } from '../../src/config/index.js'

/** The places from which a test loads settings. */
export interface Places {
  readonly argv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Maps paths to contents: relative to the working directory (`listenql.toml`) or, with a slash at the start, to the root. */
  readonly files?: Readonly<Record<string, string>>
}

const ALL = OPTION_LIST.map(option => option.key)

/** Loads settings from the given places only, with a temporary folder as `/`. */
export function load({ argv = [], env = {}, files = {} }: Places): LoadedSettings {
  const folder = mkdtempSync(join(tmpdir(), 'listenql-config-'))
  const cwd = join(folder, 'cwd')
  const root = join(folder, 'root')
  try {
    mkdirSync(cwd)
    for (const [path, content] of Object.entries(files)) {
      const file = path.startsWith('/') ? join(root, path) : join(cwd, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
    }
    const { layer, plain } = parseFlags(argv, { keys: ALL, plain: [] })
    const file = plain.get('config')
    return loadSettings({ flags: layer, file: file === true ? undefined : file, env, cwd, root })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
