import { describe, expect, it } from 'vitest'
import { countLines, ownScreens, peerScreens } from '../support/screens.js'
import { readText } from '../support/snippets.js'

/** The cells of the tables in this section of docs/clients.md, by the first cell without its link. */
function rowsOf(heading: string): ReadonlyMap<string, readonly string[]> {
  const [, section = ''] = readText('docs/clients.md').split(`\n## ${heading}\n`)
  const lines = section.split('\n## ')[0]?.split('\n') ?? []
  const rows = lines.filter(line => line.startsWith('| ')).map(line => line.slice(2, -2).split(' | '))
  return new Map(rows.map(([name = '', ...cells]) => [name.replace(/\[(.*?)\]\(.*?\)/g, '$1'), cells]))
}

describe('the lines in docs/clients.md', () => {
  const rows = rowsOf('Which way to choose')
  const screens = [...ownScreens(), ...peerScreens()]

  it.each(screens)('are those of $name', screen => {
    const [, cells] = [...rows].find(([name]) => name.toLowerCase() === screen.name.toLowerCase()) ?? []
    expect(cells?.[0]).toBe(String(countLines(screen)))
  })

  it('stand for a program each', () => {
    expect([...rows].filter(([, [lines = '']]) => /^\d+$/.test(lines))).toHaveLength(screens.length)
    expect(screens).toHaveLength(13)
  })

  it('show that no other server needs fewer than listenql/react', () => {
    const own = ownScreens().find(({ name }) => name === '`listenql/react`')
    if (!own) throw new Error('docs/screens.md does not begin with listenql/react')
    expect(Math.min(...peerScreens().map(countLines))).toBeGreaterThanOrEqual(countLines(own))
  })

  it('have a source for each other server', () => {
    for (const { name, text } of peerScreens()) expect(text, name).toMatch(/^\/\/ https:\/\/\S+$/m)
  })
})

it('the programs of docs/screens.md are formatted as they are counted', () => {
  for (const screen of ownScreens()) {
    const shown = screen.text.split('\n').filter(line => line.trim() !== '').length
    expect([screen.name, countLines(screen)]).toEqual([screen.name, shown])
  }
})
