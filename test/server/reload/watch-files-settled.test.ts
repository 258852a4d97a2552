import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { watchFiles } from '../../../src/server/reload/watch-files.js'

it('a key and a certificate that are replaced one after the other are read when both have changed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listenql-settled-'))
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
  for (const file of [key, certificate]) writeFileSync(file, 'former')
  const seen: string[] = []
  let looks = 0
  const { stop } = watchFiles({
    files() {
      looks++
      if (looks === 2) writeFileSync(key, 'the new one')
      if (looks === 3) writeFileSync(certificate, 'the new one')
      return [key, certificate]
    },
    interval: 5,
    onChange: () => seen.push(`${readFileSync(key)}, ${readFileSync(certificate)}`) > 0,
  })
  await expect.poll(() => looks).toBeGreaterThan(5)
  expect(seen).toEqual(['the new one, the new one'])
  stop()
  rmSync(folder, { recursive: true })
})
