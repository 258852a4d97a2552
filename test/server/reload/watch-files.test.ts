import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type FileWatch, stateOfFiles, watchFiles } from '../../../src/server/reload/watch-files.js'

let folder: string
let stop: () => void
let changes = 0
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'listenql-watch-'))
  changes = 0
})
afterEach(() => {
  stop?.()
  rmSync(folder, { recursive: true })
})

/** Watches the files, and resolves once they have been looked at for the first time. */
async function watch(files: readonly string[]): Promise<FileWatch> {
  let looks = 0
  const watch = watchFiles({
    files() {
      looks++
      return files
    },
    interval: 5,
    onChange: () => ++changes > 0,
  })
  stop = watch.stop
  // `files` is called at the beginning and at the end of a look.
  await expect.poll(() => looks).toBeGreaterThan(2)
  return watch
}
const seen = (count: number) => expect.poll(() => changes).toBe(count)

it('a file that is written, replaced, removed and made is noticed each time', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, 'first')
  await watch([file])
  expect(changes).toBe(0)
  writeFileSync(file, 'second, and longer')
  await seen(1)
  writeFileSync(join(folder, 'new'), 'second, and longer')
  renameSync(join(folder, 'new'), file)
  await seen(2)
  rmSync(file)
  await seen(3)
  writeFileSync(file, 'again')
  await seen(4)
})

it('a link to another folder, as Kubernetes updates secrets, is one change of all files', async () => {
  for (const version of ['1', '2']) {
    mkdirSync(join(folder, version))
    for (const name of ['cert', 'key']) writeFileSync(join(folder, version, name), version)
  }
  const link = join(folder, 'data')
  symlinkSync('1', link)
  await watch([join(link, 'cert'), join(link, 'key')])
  symlinkSync('2', join(folder, 'next'))
  renameSync(join(folder, 'next'), link)
  await seen(1)
})

it('a file that is watched only now is no change', async () => {
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  writeFileSync(one, '1')
  writeFileSync(two, '2')
  const files = [one]
  await watch(files)
  files.push(two)
  writeFileSync(one, '1, changed')
  await seen(1)
  writeFileSync(two, '2, changed')
  await seen(2)
})

it('a change between the reading of a file and the first look is noticed', async () => {
  const file = join(folder, 'file')
  writeFileSync(file, 'first')
  const known = stateOfFiles([file])
  writeFileSync(file, 'second')
  stop = watchFiles({ known, files: () => [file], interval: 5, onChange: () => ++changes > 0 }).stop
  await seen(1)
})

it('a change of a file that was noted is noticed, although it is watched only later', async () => {
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  writeFileSync(one, '1')
  writeFileSync(two, '2')
  const files = [one]
  const { note } = await watch(files)
  note([one, two])
  files.push(two)
  writeFileSync(two, '2, changed')
  await seen(1)
})
