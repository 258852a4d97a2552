import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeInBrowser } from '../support/browser.js'
import { type Example, startExample } from '../support/example.js'
import { writeFrames } from '../support/frames.js'
import { findNginx } from '../support/nginx.js'

const folder = join(import.meta.dirname, '../../examples/fleet')
const MOVE = readFileSync(join(folder, 'simulate.sql'), 'utf8').replace(/;\s*$/, ' returning id, x, y')

describeInBrowser('examples/fleet', open => {
  let example: Example
  /** Positions of each vehicle since the page shows it, by id. */
  const driven = new Map<number, string[]>()

  beforeAll(async () => {
    example = await startExample('fleet')
  })

  afterAll(() => example?.close())

  async function drive(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1)
      for (const { id, x, y } of await example.query(MOVE)) driven.get(id as number)?.push(`${x},${y}`)
  }

  const shown = (page: Page) =>
    page.evaluate(() => ({
      vehicles: [...document.querySelectorAll('li')].map(({ innerText }) => innerText.replace(/\s+/g, ' ')),
      trails: [...document.querySelectorAll('polyline')].map(line => line.getAttribute('points')),
    }))

  /** What the page has to show of a fleet. */
  async function expected(fleet: string): Promise<Awaited<ReturnType<typeof shown>>> {
    const rows = await example.query('select * from vehicles where fleet like $1 order by id', [fleet])
    return {
      vehicles: rows.map(({ name, x, y }) => `${name} ${x}, ${y}`),
      trails: rows.map(({ id }) => driven.get(id as number)?.join(' ') ?? ''),
    }
  }

  async function follow(fleet: string): Promise<void> {
    driven.clear()
    for (const { id, x, y } of await example.query('select * from vehicles where fleet like $1', [fleet]))
      driven.set(id as number, [`${x},${y}`])
  }

  it('shows every position of every vehicle, also those of a lost connection and of a server that moves behind nginx and is killed', {
    timeout: 60_000,
  }, async () => {
    const watched = await open()
    const { page } = watched
    await follow('%')
    await example.open(watched)
    await expect.poll(() => shown(page)).toEqual(await expected('%'))
    await drive(5)
    await expect.poll(() => shown(page)).toEqual(await expected('%'))

    await example.proxy.cut()
    await expect.poll(() => page.getByRole('status').textContent()).toMatch(/^offline since/)
    await drive(20)
    await example.query("delete from vehicles where name = 'Taxi 3'")
    const before = await shown(page)
    expect(before.vehicles).toContainEqual(expect.stringMatching('Taxi 3'))
    await example.proxy.mend()
    await expect.poll(() => shown(page)).toEqual(await expected('%'))
    await expect.poll(() => page.getByRole('status').textContent()).toBe('live')

    if (findNginx() !== undefined) await example.moveBehindNginx()
    await example.proxy.cut()
    await drive(3) // a trail has at most 50 positions
    await example.proxy.mend()
    await expect.poll(() => shown(page)).toEqual(await expected('%'))
    await example.kill()
    await drive(20)
    await example.start()
    await expect.poll(() => shown(page)).toEqual(await expected('%'))
    const longest = Math.max(...[...driven.values()].map(trail => trail.length))
    expect(longest).toBeGreaterThan(25)

    expect(watched.errors()).toEqual([])
    expect(watched.outside()).toEqual([])
  })

  it('shows one fleet, by the keyboard too, and highlights a vehicle', async () => {
    const watched = await open({ width: 390 })
    const { page } = watched
    await example.open(watched)
    const select = page.getByRole('combobox', { name: 'Fleet' })
    await expect.poll(() => select.innerText()).toMatch('Taxis (7)')
    await select.focus()
    await page.keyboard.press('T')
    await expect.poll(() => page.getByRole('listitem').count()).toBe(7)
    await follow('Taxis')
    await drive(3)
    await expect.poll(() => shown(page)).toEqual(await expected('Taxis'))
    await example.query("insert into vehicles (fleet, name, x, y) values ('Taxis', 'Taxi 9', 0, 0)")
    await expect.poll(() => select.innerText()).toMatch('Taxis (8)')

    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.locator('.chosen title').textContent()).toBe('Taxi 1')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390)
    expect(watched.errors()).toEqual([])
  })

  // npx vitest run test/examples/fleet with LISTENQL_FRAMES=docs/fleet.png makes README's picture.
  it.runIf(process.env.LISTENQL_FRAMES)('is the picture of the README', async () => {
    const watched = await open({ width: 700, height: 700 })
    const { page } = watched
    await follow('%')
    await example.open(watched)
    const moved = async () => {
      await expect.poll(async () => (await shown(page)).trails).toEqual((await expected('%')).trails)
    }
    await page.getByRole('button', { name: /Taxi 1/ }).click()
    await writeFrames(page, page.getByRole('img'), process.env.LISTENQL_FRAMES as string, [
      [
        'Vehicles drive: every change of a row moves one.',
        async () => {
          await drive(12)
          await moved()
        },
      ],
      [
        'The connection is lost, and the vehicles drive on.',
        async () => {
          await example.proxy.cut()
          await expect.poll(() => page.getByRole('status').textContent()).toMatch(/^offline since/)
          await drive(12)
        },
      ],
      [
        'The connection is back: each trail has every position.',
        async () => {
          await example.proxy.mend()
          await moved()
        },
      ],
    ])
  })
})
