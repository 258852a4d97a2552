import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** A fenced block of a Markdown file. */
export interface Snippet {
  /** Relative to the root, such as `docs/clients.md`. */
  readonly file: string
  /** Line number of the opening fence, starting at 1. */
  readonly line: number
  /** The first word after the fence: `sh`, `js`, …; empty if there is none. */
  readonly language: string
  /** The other words after the fence, such as `output`; GitHub does not show them. */
  readonly marks: readonly string[]
  readonly text: string
}

/** The files whose snippets readers copy. */
export function documentedFiles(): string[] {
  const under = (folder: string) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.md') && !name.includes('node_modules'))
      .map(name => join(folder, name))
  return ['README.md', ...under('docs'), ...under('examples')].sort()
}

/** The documents for contributors. Tests check the names in them, and do not run their snippets. */
export const CONTRIBUTOR_FILES: readonly string[] = [
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  ...documentedFiles().filter(file => file.startsWith('docs/adr/')),
]

/** Returns all fenced blocks of a file, in order; those in a list without the indentation. */
export function snippetsOf(file: string): Snippet[] {
  const snippets: Snippet[] = []
  let open: { line: number; indent: string; info: string; lines: string[] } | undefined
  for (const [index, line] of readText(file).split('\n').entries()) {
    const fence = /^(\s*)```\s*(.*?)\s*$/.exec(line)
    if (!open && fence) open = { line: index + 1, indent: fence[1] ?? '', info: fence[2] ?? '', lines: [] }
    else if (open && fence && fence[2] === '') {
      const [language = '', ...marks] = open.info.split(/\s+/)
      snippets.push({ file, line: open.line, language, marks, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else open?.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line)
  }
  if (open) throw new Error(`${file}:${open.line}: this fence is not closed`)
  return snippets
}

export function readText(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}
