import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OPTION_LIST, type OptionKey, resolveSettings, type Settings } from '../../../src/config/index.js'
import { isReloadable, RELOADABLE } from '../../../src/config/reloadable.js'
import { ListenqlError } from '../../../src/lib/errors.js'
import { createReload } from '../../../src/server/reload/reload.js'

const start = (): Settings => ({ ...resolveSettings({ maxDepth: 5, port: 1 }) })

it('changes reloadable options and no others, and says which need a restart', () => {
  const settings = start()
  const reload = createReload({ settings, parts: [] })
  const result = reload(resolveSettings({ maxDepth: 6, port: 2, maxRows: 7 }))
  expect(result).toEqual({ changed: expect.arrayContaining(['maxDepth', 'maxRows']), needsRestart: ['port'] })
  expect(settings).toMatchObject({ maxDepth: 6, maxRows: 7, port: 1 })
  expect(reload(resolveSettings({ port: 2 }))).toMatchObject({ needsRestart: ['port'] })
  expect(settings.maxDepth).toBe(resolveSettings({}).maxDepth)
})

it('removes an option that is no longer given', () => {
  const settings: Settings = { ...resolveSettings({ maxLogSize: 2 ** 20, channels: ['a'] }) }
  createReload({ settings, parts: [] })(resolveSettings({}))
  expect(settings).toMatchObject({ maxLogSize: undefined, channels: undefined })
})

it('HTTPS that begins or ends needs a restart', () => {
  const settings = start()
  const next = resolveSettings({ maxDepth: 5, port: 1, tlsCert: 'c', tlsKey: 'k' })
  const parts = [(given: Settings) => () => expect(given.tlsCert).toBeUndefined()]
  expect(createReload({ settings, parts })(next)).toEqual({
    changed: [],
    needsRestart: ['tlsCert', 'tlsKey'],
  })
})

it('any part that refuses leaves every part and every setting as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 6 }), refuses => {
      const settings = start()
      const committed: number[] = []
      const parts = refuses.map((isRefusing, i) => () => {
        if (isRefusing) throw new ListenqlError('BAD_CONFIGURATION', `${i}`)
        return () => void committed.push(i)
      })
      const run = () => createReload({ settings, parts })(resolveSettings({ maxDepth: 6, port: 1 }))
      if (refuses.includes(true)) {
        expect(run).toThrow(`${refuses.indexOf(true)}`)
        expect(committed).toEqual([])
        expect(settings).toEqual(start())
      } else {
        expect(run()).toEqual({ changed: ['maxDepth'], needsRestart: [] })
        expect(committed).toEqual(refuses.map((_, i) => i))
      }
    }),
  )
})

it('every limit on clients is reloadable, but for two', () => {
  const limits = OPTION_LIST.filter(({ group }) => group === 'Limits').map(({ key }) => key)
  const fixed: OptionKey[] = ['maxHeaders', 'maxFilterWork']
  expect(limits.filter(key => !isReloadable(key)).sort()).toEqual(fixed.sort())
  expect(new Set(RELOADABLE).size).toBe(RELOADABLE.length)
})
