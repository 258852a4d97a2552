import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser } from '../../support/browser.js'
import { createLog, type TestLog } from '../../support/log.js'
import { inSeconds, SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

const patience = { timeout: 20_000 }

describeInBrowser('the page of a server whose viewers have roles', open => {
  let log: TestLog
  let roles: TestRoles
  let server: ListenqlServer

  beforeEach(async () => {
    log = await createLog()
    roles = await createRoles(log)
    const { user } = roles
    await log.query(`create table tasks (id serial primary key, owner text not null, title text not null);
      alter table tasks enable row level security; grant select on tasks to ${user};
      create policy own_tasks on tasks for select to ${user}
        using (owner = (select current_setting('request.jwt.claims')::json ->> 'sub'));
      insert into tasks (owner, title) values ('ada', 'Write'), ('bob', 'Sleep')`)
    await log.watch('tasks')
    server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      jwtSecret: SECRET,
      channels: [],
      roleChannels: { [user]: ['room.*', 'news'] },
      rolePublish: { [user]: ['room.*'] },
      logLevel: 'silent',
    })
  }, 60_000)
  afterEach(async () => {
    await server?.close()
    await roles?.drop()
    await log?.close()
  }, 60_000)

  async function openPage(hash = '') {
    const opened = await open()
    const { page } = opened
    await page.goto(`${server.url}/${hash}`)
    const signIn = async (token: string) => {
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByLabel('Token').fill(token)
      await page.keyboard.press('Enter')
    }
    return { ...opened, signIn, titles: () => page.locator('tr.data td:nth-child(3)').allTextContents() }
  }

  it('shows each viewer the own rows, and forgets the token', async () => {
    const { page, signIn, titles, errors } = await openPage()
    await page.getByText('Not signed in').waitFor()
    expect(await page.locator('.refusal').textContent()).toMatch(/^UNAUTHENTICATED .*Sign in with a token/)
    await signIn(await sign({ sub: 'ada', role: roles.user, exp: inSeconds(600) }))
    await expect.poll(titles, patience).toEqual(['Write'])
    await page.locator('.refusal').waitFor({ state: 'detached' })
    await page.getByText('ada', { exact: true }).first().waitFor()
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Sign out')
    await log.query(`insert into tasks (owner, title) values ('ada', 'Read'), ('bob', 'Dream')`)
    await expect.poll(titles, patience).toEqual(['Read', 'Write'])

    await page.getByRole('button', { name: 'Sign out' }).click()
    await expect.poll(titles, patience).toEqual([])
    await page.getByText('Not signed in').waitFor()
    await signIn(`Bearer ${await sign({ sub: 'bob', role: roles.user })}`)
    await expect.poll(titles, patience).toEqual(['Dream', 'Sleep'])
    expect(
      await page.evaluate(
        'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])',
      ),
    ).toBe(JSON.stringify([{}, {}, '', `${server.url}/`]))
    await page.reload()
    await page.getByText('Not signed in').waitFor()
    expect(errors()).toEqual([])
  }, 60_000)

  it('copies a curl line without the token', async () => {
    const { page, signIn, titles } = await openPage()
    const token = await sign({ sub: 'ada', role: roles.user })
    await signIn(token)
    await expect.poll(titles, patience).toEqual(['Write'])
    await page.getByText('The same in GraphQL and in a terminal').click()
    expect(await page.locator('.copy-panel').first().textContent()).toContain('Bearer $TOKEN')
    expect(await page.content()).not.toContain(token)
  })

  it('says that a token is refused, and why a table is', async () => {
    const { page, signIn, titles } = await openPage()
    await signIn('no.valid.token')
    await page.getByText('Token refused').waitFor()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await signIn(await sign({ sub: 'ada', role: roles.user }))
    await expect.poll(titles, patience).toEqual(['Write'])
    await log.query(`revoke select on tasks from ${roles.user}`)
    await page.getByText('FORBIDDEN').or(page.getByText('No table is watched yet')).first().waitFor()
  }, 60_000)

  it('has a box to send exactly where the viewer may publish', async () => {
    const { page, signIn } = await openPage('#news,room.1')
    await signIn(await sign({ sub: 'ada', role: roles.user }))
    const card = (name: string) => page.getByRole('article', { name: `Channel ${name}`, exact: true })
    await expect.poll(() => card('news').getByRole('status').textContent(), patience).toBe('Listening')
    await expect.poll(() => card('room.1').getByRole('status').textContent(), patience).toBe('Listening')
    await card('room.1').getByLabel('Message to room.1').fill('hello')
    await page.keyboard.press('Enter')
    await expect.poll(() => card('room.1').locator('pre').allTextContents(), patience).toEqual(['hello'])
    expect(await card('room.1').getByLabel('Message to room.1').inputValue()).toBe('')
    expect(await card('news').getByLabel('Message to news').count()).toBe(0)
    // The newest channel is first.
    expect(await page.locator('article h3').allTextContents()).toEqual(['room.1', 'news'])
  }, 60_000)
})
