import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

interface Exported {
  readonly file: string
  readonly name: string
}

/** Returns the exports of the library: each name, with the file that declares it. */
function exportsOf(index: string): Exported[] {
  const text = readFileSync(join(root, index), 'utf8')
  return [...text.matchAll(/export (?:type )?\{([^}]+)\} from '(.+?)\.js'/g)].flatMap(
    ([, names = '', path = '']) =>
      names
        .split(',')
        .map(name => name.replace(/\btype\b/, '').trim())
        .filter(name => name !== '')
        .map(name => ({ name, file: join(dirname(index), `${path}.ts`) })),
  )
}

/** Returns the file that declares a name, also if another file re-exports it. */
function declaring({ file, name }: Exported): Exported {
  const passed = exportsOf(file).find(each => each.name === name)
  return passed ? declaring(passed) : { file, name }
}

/** Returns the declaration and the members of an interface that have no docstring before them. */
function undocumented({ file, name }: Exported): string[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  const at = lines.findIndex(line =>
    new RegExp(`^export (?:async )?(?:function|class|interface|type|const) ${name}\\b`).test(line),
  )
  if (at < 0) return [`${file}: no declaration of ${name}`]
  const isDocumented = (i: number) => lines[i - 1]?.trimEnd().endsWith('*/') === true
  const missing = isDocumented(at) ? [] : [name]
  if (!/^export interface /.test(lines[at] as string)) return missing
  for (let i = at + 1; lines[i] !== '}' && i < lines.length; i++) {
    const [, member] = /^ {2}(?:readonly )?(\w+)\??[:(<]/.exec(lines[i] as string) ?? []
    if (member !== undefined && !isDocumented(i)) missing.push(`${name}.${member}`)
  }
  return missing
}

it.each(
  ['index', 'client/index', 'client/react/index', 'client/apollo/index', 'client/urql/index'].map(
    name => `src/${name}.ts`,
  ),
)('every export of %s and every member of it has a docstring', index => {
  const all = exportsOf(index)
  expect(all.length).toBeGreaterThan(3)
  expect(all.map(declaring).flatMap(undocumented)).toEqual([])
})
