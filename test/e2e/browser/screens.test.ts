import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AppWorld, createAppWorld } from '../../support/app-world.js'
import { describeInBrowser } from '../../support/browser.js'
import { bundleApp } from '../../support/react-app.js'
import { ownScreens, withTables } from '../../support/screens.js'

const patience = { timeout: 20_000 }

/** The programs that end with the connection, as docs/clients.md says. */
const ENDS = ['fetch']

describeInBrowser('a program of docs/screens.md', open => {
  let world: AppWorld
  beforeEach(async () => {
    world = await createAppWorld(
      `create table people (pk serial primary key, name text, age int, height real, ts timestamptz default now());
      create table visits (pk serial primary key, person_id int references people, place text, ts timestamptz default now());
      insert into people (name) select 'Person ' || g from generate_series(1, 11) g`,
      'people',
      'visits',
    )
  }, 60_000)
  afterEach(() => world?.close(), 60_000)

  it.each(ownScreens())(
    '$name shows the first ten people, live, and after a restart of the server what clients.md says',
    async ({ name, text }) => {
      world.host.serve(
        await bundleApp(withTables(text).replaceAll('localhost:7700', new URL(world.server.url).host)),
      )
      const { page, errors } = await open()
      await page.goto(world.host.url)
      const lines = () => page.locator('li').allInnerTexts()
      const people = (...numbers: number[]) => numbers.map(number => `Person ${number}`)
      await expect.poll(lines, patience).toEqual(people(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))

      await world.log.query('delete from people where pk = 2')
      await expect.poll(lines, patience).toEqual(people(1, 3, 4, 5, 6, 7, 8, 9, 10, 11))

      if (ENDS.includes(name)) {
        const ended = page.waitForEvent('pageerror', patience)
        await world.server.close()
        expect((await ended).message).toMatch(/network error/i)
        return
      }
      const { port } = world.server
      await world.server.close()
      await world.log.query('delete from people where pk in (3, 4)')
      await world.start(port)
      await expect.poll(lines, patience).toEqual(people(1, 5, 6, 7, 8, 9, 10, 11))
      expect(errors()).toEqual([])
    },
    90_000,
  )
})
