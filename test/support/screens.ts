import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { tablesOf } from '../../src/client/cache/tables-of.js'
import { demoIntrospection } from './demo-introspection.js'
import { readText, snippetsOf } from './snippets.js'

/** A program that shows the same live list as the others. */
export interface Screen {
  /** The heading of its section in docs/screens.md, or the name of its file in test/docs/peers. */
  readonly name: string
  readonly language: string
  readonly text: string
}

/** The programs of docs/screens.md, in order. */
export function ownScreens(): Screen[] {
  const headings = readText('docs/screens.md').split('\n')
  return snippetsOf('docs/screens.md').map(({ line, language, text }) => {
    const heading = headings.slice(0, line).findLast(one => one.startsWith('## ')) ?? ''
    return { name: heading.slice('## '.length), language, text }
  })
}

/** The same screen with other servers, from their public documentation. */
export function peerScreens(): Screen[] {
  return readdirSync('test/docs/peers').map(file => ({
    name: file.replace(/\.jsx$/, ''),
    language: 'jsx',
    text: readText(`test/docs/peers/${file}`),
  }))
}

/** The lines of a program in the format of this project, without empty ones and comments. */
export function countLines({ language, text }: Screen): number {
  const args = ['node_modules/@biomejs/biome/bin/biome', 'format', '--stdin-file-path', `screen.${language}`]
  const formatted = execFileSync(process.execPath, args, { input: text, encoding: 'utf8' })
  return formatted.split('\n').filter(line => !/^\s*(\/\/.*)?$/.test(line)).length
}

/** The program with the tables of the demo in place of the file that a script writes: a bundle of a test has one file. */
export function withTables(text: string): string {
  return text.replace(
    `import { tables } from './tables.js'`,
    `const tables = ${JSON.stringify(tablesOf(demoIntrospection()))}`,
  )
}
