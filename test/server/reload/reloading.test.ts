import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { resolveSettings } from '../../../src/config/index.js'
import { createReloading, type Reloading, readFileStates } from '../../../src/server/reload/reloading.js'
import { createObserved } from '../../support/observed.js'

let folder: string
let reloading: Reloading
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'listenql-reloading-'))
})
afterEach(() => {
  reloading?.stop()
  rmSync(folder, { recursive: true })
})

it('a reload that a changed file has failed to bring is tried again, and reported once for each reason', async () => {
  const trustedDocuments = join(folder, 'file')
  writeFileSync(trustedDocuments, 'first')
  const settings = resolveSettings({ trustedDocuments })
  const reasons = ['too many open files', 'too many open files', 'half a file', 'half a file']
  const observed = createObserved()
  reloading = createReloading({
    settings,
    files: readFileStates(settings),
    interval: 5,
    reload() {
      const reason = reasons.shift()
      if (reason !== undefined) throw new Error(reason)
      return { changed: [], needsRestart: [] }
    },
    observe: observed.observe,
  })
  writeFileSync(trustedDocuments, 'second')
  await observed.until('settings.reloaded')
  expect(observed.all('settings.refused').map(({ message }) => message)).toEqual([
    'too many open files',
    'half a file',
  ])
})
