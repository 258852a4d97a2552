import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeInBrowser } from '../support/browser.js'
import { type Example, startExample } from '../support/example.js'
import { findNginx } from '../support/nginx.js'

const patience = { timeout: 20_000 }

describeInBrowser('the example auction', open => {
  let example: Example

  beforeAll(async () => {
    example = await startExample('auction')
  }, 60_000)

  afterAll(() => example?.close(), 60_000)

  const bidders = (page: Page) =>
    Object.fromEntries(
      ['Ada', 'Bob'].map(name => {
        const lot = (title: string) =>
          page.getByRole('region', { name }).getByRole('article', { name: title })
        return [
          name,
          {
            lot,
            async bid(title: string, amount: number) {
              await lot(title)
                .getByRole('spinbutton', { name: `Your bid for: ${title}` })
                .fill(`${amount}`)
              await lot(title).getByRole('button', { name: 'Bid' }).click()
            },
            own: (title: string) => lot(title).getByRole('listitem').allTextContents(),
          },
        ]
      }),
    ) as Record<'Ada' | 'Bob', Bidder>

  /** What the page shows, with the bids of each bidder without their times. */
  const shown = (page: Page) =>
    page.evaluate(() =>
      [...document.querySelectorAll('section')].flatMap(section =>
        [...section.querySelectorAll('article')].map(lot => ({
          bidder: section.ariaLabel,
          title: lot.ariaLabel,
          price: Number(lot.querySelector('output')?.textContent),
          count: Number(lot.querySelector('small')?.textContent?.replace('Bids: ', '')),
          bids: [...lot.querySelectorAll('li')].map(bid => bid.textContent?.replace(/ \d+:\d\d:\d\d.*/, '')),
        })),
      ),
    )

  const inTables = () =>
    example.query(`select b.bidder, l.title, l.price, (select count(*) from bids where lot_id = l.id)::int as count,
        array(select amount::text from bids where lot_id = l.id and bidder = b.bidder order by amount desc) as bids
      from (values ('Ada'), ('Bob')) b(bidder), lots l order by b.bidder, l.id`)

  it('shows an optimistic bid until its own change arrives, and withdraws one that is refused', async () => {
    const watched = await open()
    const { page } = watched
    const wires = await tap(page)
    await example.open(watched)
    const { Ada } = bidders(page)
    const title = 'A chess set of walnut'
    await Ada.lot(title).waitFor()
    const states = await recordStates(page, 'Ada', title)

    wires.hold()
    const answered = page.waitForResponse(/api\/bids/)
    await Ada.bid(title, 41)
    expect((await answered).status()).toBe(200)
    expect(await Ada.own(title)).toEqual(['41 Sending…'])
    wires.release()
    await expect.poll(() => states(), patience).toEqual(['', '41 Sending…', '41'])

    wires.hold()
    await example.query('update lots set price = 500 where title = $1', [title])
    await Ada.bid(title, 50)
    await Ada.lot(title).getByRole('alert').getByText('The price is 500 already.').waitFor()
    await expect.poll(() => states(), patience).toEqual(['', '41 Sending…', '41', '50 Sending…,41', '41'])
    wires.release()
    await expect.poll(() => shown(page), patience).toEqual(await inTables())
    expect(watched.errors()).toEqual([])
  }, 90_000)

  it('shows prices to all and bids to their bidder, also after a cut, and after a restart behind nginx', async () => {
    const watched = await open()
    const wires = await tap(watched.page)
    await example.open(watched)
    const { Ada, Bob } = bidders(watched.page)

    await Ada.bid('A brass telescope', 131)
    await Bob.lot('A brass telescope').getByText('131').waitFor()
    await Ada.lot('A brass telescope').getByText('You lead').waitFor()
    await Bob.bid('A brass telescope', 152)
    await Ada.lot('A brass telescope').getByText('You are outbid').waitFor()
    await expect.poll(() => shown(watched.page), patience).toEqual(await inTables())
    expect(await Ada.own('A brass telescope')).toEqual([expect.stringMatching(/^131 \d+:\d\d/)])
    expect(await Bob.own('A brass telescope')).toEqual([expect.stringMatching(/^152 \d+:\d\d/)])

    const bid = (bidder: string, amount: number) =>
      example.query(
        `insert into bids (id, lot_id, bidder, amount) select gen_random_uuid(), id, $1, $2 from lots
         where title = 'A map of 1754'`,
        [bidder, amount],
      )
    await example.proxy.cut()
    await watched.page.getByText('Offline').first().waitFor()
    await bid('Bob', 273)
    await bid('Ada', 284)
    await example.proxy.mend()
    await expect.poll(() => shown(watched.page), patience).toEqual(await inTables())

    if (findNginx() !== undefined) await example.moveBehindNginx()
    await example.kill()
    await bid('Bob', 295)
    await example.start()
    await Ada.bid('A brass telescope', 163)
    await Bob.lot('A brass telescope').getByText('163').waitFor()
    await expect.poll(() => shown(watched.page), patience).toEqual(await inTables())

    // Nothing was hidden by the page alone.
    for (const name of ['Ada', 'Bob']) {
      const bids = await example.query('select amount from bids where bidder = $1', [name])
      expect(bids.length).toBeGreaterThan(2)
      expect(amountsOf(wires, name)).toEqual(new Set(bids.map(({ amount }) => amount)))
    }
    expect(watched.errors()).toEqual([])
  }, 90_000)
})

interface Bidder {
  lot(title: string): ReturnType<Page['locator']>
  bid(title: string, amount: number): Promise<void>
  own(title: string): Promise<string[]>
}

interface Wires {
  readonly received: { readonly bidder: string; readonly message: string }[]
  /** From now on, nothing reaches the page. */
  hold(): void
  release(): void
}

/** Reads what reaches the page over GraphQL, and by whose token. */
async function tap(page: Page): Promise<Wires> {
  const received: Wires['received'] = []
  let held: (() => void)[] | undefined
  await page.routeWebSocket(/\/graphql$/, socket => {
    const server = socket.connectToServer()
    let bidder = ''
    socket.onMessage(message => {
      const { type, payload } = JSON.parse(String(message))
      if (type === 'connection_init') bidder = subjectOf(payload.authorization)
      server.send(message)
    })
    server.onMessage(message => {
      received.push({ bidder, message: String(message) })
      if (held) held.push(() => socket.send(message))
      else socket.send(message)
    })
  })
  return {
    received,
    hold() {
      held = []
    },
    release() {
      for (const send of held ?? []) send()
      held = undefined
    },
  }
}

function subjectOf(authorization: string): string {
  return JSON.parse(Buffer.from(authorization.split('.')[1] ?? '', 'base64url').toString()).sub
}

/** The amounts of the bids that were sent to a bidder. */
function amountsOf({ received }: Wires, bidder: string): Set<number> {
  const messages = received.filter(({ bidder: receiver }) => receiver === bidder)
  return new Set(
    messages.flatMap(({ message }) =>
      [...message.matchAll(/"amount":(\d+)/g)].map(match => Number(match[1])),
    ),
  )
}

/** Records each state of the list of own bids, also those that last for one frame. */
async function recordStates(page: Page, bidder: string, title: string): Promise<() => Promise<string[]>> {
  const lot = await page
    .getByRole('region', { name: bidder })
    .getByRole('article', { name: title })
    .elementHandle()
  const states = await lot?.evaluateHandle(lot => {
    const now = () =>
      [...lot.querySelectorAll('li')].map(bid => bid.textContent?.replace(/ \d+:\d\d:\d\d.*/, '')).join()
    const states = [now()]
    new MutationObserver(() => {
      if (now() !== states.at(-1)) states.push(now())
    }).observe(lot, { subtree: true, childList: true, characterData: true })
    return states
  })
  return async () => (await states?.jsonValue()) ?? []
}
