import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { documentedFiles, type Snippet, snippetsOf } from '../support/snippets.js'
import { PLANS, type Plan } from './plans.js'
import { missingPrograms, RUNNERS } from './run.js'
import { createWorld, type World } from './world.js'

// Runs every snippet of README, docs/ and examples/ as it is, with the addresses of this test in place of localhost:7700 and of
// postgres://user:password@host/database. `advice` says what to do when this fails.

/** Marks that may follow the language of a fence, for blocks that are not run. */
const MARKS = ['output', 'excerpt']

const snippets = documentedFiles().flatMap(snippetsOf)
const planFor = (snippet: Snippet): Plan[] =>
  PLANS.filter(({ file, has }) => file === snippet.file && snippet.text.includes(has))

let world: World
beforeAll(async () => {
  world = await createWorld()
}, 120_000)
afterEach(() => world.endAll())
afterAll(() => world.close())

describe.each(documentedFiles())('%s', file => {
  const own = snippets.filter(snippet => snippet.file === file)
  if (own.length === 0) it('has no snippets', () => undefined)

  for (const snippet of own) {
    const { language, line, text, marks } = snippet
    const [plan, ...others] = planFor(snippet)
    const lacking = missingPrograms(language, text)
    const name = `line ${line}, ${language || 'no language'}${marks.length > 0 ? ` (${marks.join(' ')})` : ''}`
    const note = plan?.why
      ? `, not run here: ${plan.why}`
      : lacking.length > 0
        ? `, not run: no ${lacking} here`
        : ''
    it.skipIf(lacking.length > 0)(`${name}${note}`, { timeout: 90_000 }, async () => {
      expect(language, advice(snippet, 'the fence names no language')).not.toBe('')
      expect(
        marks.filter(mark => !MARKS.includes(mark)),
        advice(snippet, `marks are ${MARKS.join(', ')}`),
      ).toEqual([])
      expect(others, advice(snippet, 'several plans fit it')).toEqual([])
      if (plan?.why) return
      const run = plan?.run ?? (marks.length > 0 ? undefined : RUNNERS[language] && runAsItStands)
      if (!run)
        throw new Error(advice(snippet, marks.length > 0 ? 'nothing checks it' : `nothing runs ${language}`))
      await Promise.resolve(run(snippet, world)).catch(error => {
        throw new Error(
          `${advice(snippet, 'it does not work')}\n\n${error instanceof Error ? error.message : error}`,
          { cause: error },
        )
      })
    })
  }
})

function runAsItStands({ language, text }: Snippet, world: World): Promise<unknown> {
  const run = RUNNERS[language]
  if (!run) throw new Error(`nothing runs ${language}`)
  return run(text, world)
}

/** The message for the author of a snippet. */
function advice({ file, line, text }: Snippet, problem: string): string {
  return `${file}:${line}: ${problem}.

${text}
The runner of its language in test/docs/run.ts runs a snippet (${Object.keys(RUNNERS).join(', ')}): unchanged, in a folder where the
demo runs on localhost:7700 and where postgres://user:password@host/database is a database with the tables people and chat.messages
and a role live. Correct the snippet; or, if it needs something else, add a plan for it to test/docs/plans.ts: how to run it or, in
\`why\`, what checks it instead. The output of a program is marked \`text output\` and needs a plan that compares it. Text that cannot
be run by itself is marked \`excerpt\` and needs a plan too.`
}

it('every plan belongs to exactly one snippet', () => {
  const counts = PLANS.map(({ file, has }) => [
    `${file}: ${has}`,
    snippets.filter(snippet => snippet.file === file && snippet.text.includes(has)).length,
  ])
  expect(counts.filter(([, count]) => count !== 1)).toEqual([])
  expect(PLANS.filter(({ run, why }) => (run === undefined) === (why === undefined))).toEqual([])
})

it('finds the snippets', () => {
  expect(snippets.length).toBeGreaterThan(40)
  expect(snippets.filter(snippet => planFor(snippet)[0]?.why !== undefined).length).toBeLessThan(17)
})
