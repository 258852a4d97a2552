import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { channelDocument, curlLine, notifyLine } from '../../../page/tables/lines.js'

/** The words that a shell makes of a line. */
const words = (line: string) =>
  execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8', env: { TOKEN: 'secret' } })
    .trim()
    .split('\n')

it('a line keeps every character of a document through a shell', () => {
  const document = channelDocument(`it's "$HOME" \`id\` \\ !`)
  expect(words(curlLine('http://localhost:7700/graphql', document, false)).at(-1)).toBe(`query=${document}`)
  expect(words(notifyLine(`it's $HOME`)).at(-1)).toBe(`select pg_notify('it''s $HOME', 'hello')`)
})

it('a line of a viewer takes the token from a variable', () => {
  const line = curlLine('http://localhost:7700/graphql', channelDocument('people'), true)
  expect(line).not.toContain('secret')
  expect(words(line)).toContain('authorization: Bearer secret')
})
