import { afterEach, beforeEach, expect, it } from 'vitest'
import { createServer, type ListenqlServer } from '../../../src/index.js'
import { describeInBrowser, type WatchedPage } from '../../support/browser.js'
import { createLog, type TestLog } from '../../support/log.js'
import { type AppHost, bundleApp, createAppHost } from '../../support/react-app.js'
import { snippetsOf } from '../../support/snippets.js'
import { SECRET, sign } from '../../support/tokens.js'
import { createRoles, type TestRoles } from '../../support/viewer-roles.js'

const patience = { timeout: 20_000 }

describeInBrowser('the app with sign-in of docs/clients.md', open => {
  let log: TestLog
  let roles: TestRoles
  let server: ListenqlServer
  let host: AppHost

  beforeEach(async () => {
    log = await createLog()
    roles = await createRoles(log)
    const { user } = roles
    await log.query(`create table tasks (id serial primary key, owner text not null, title text not null, done bool not null default false);
      alter table tasks enable row level security; grant select on tasks to ${user};
      create policy own_tasks on tasks for select to ${user}
        using (owner = (select current_setting('request.jwt.claims')::json ->> 'sub'));
      insert into tasks (owner, title) select 'ada', 'Task ' || g from generate_series(1, 12) g;
      insert into tasks (owner, title) values ('bob', 'Sleep')`)
    await log.watch('tasks')
    host = await createAppHost()
    server = await createServer({
      databaseUrl: log.database.url,
      host: 'localhost',
      port: 0,
      jwtSecret: SECRET,
      logLevel: 'silent',
    })
  }, 60_000)
  afterEach(async () => {
    await host?.close()
    await server?.close()
    await roles?.drop()
    await log?.close()
  }, 60_000)

  /** Opens the app; its API gives each user a token with this role. */
  async function run(role: string): Promise<WatchedPage> {
    const { text } = snippetsOf('docs/clients.md').find(({ text }) =>
      text.includes('useUserClient(user)'),
    ) ?? {
      text: '',
    }
    host.serve(await bundleApp(text.replaceAll('localhost:7700', new URL(server.url).host), 'development'))
    const opened = await open()
    await opened.page.route('**/api/token?user=*', async route => {
      const sub = new URL(route.request().url()).searchParams.get('user') ?? ''
      await route.fulfill({ body: await sign({ sub, role }) })
    })
    await opened.page.goto(host.url)
    return opened
  }

  it('shows each user the own rows, live, by filter and page', async () => {
    const { page, errors } = await run(roles.user)
    const lines = () => page.locator('li').allInnerTexts()
    const tasks = (...numbers: number[]) => numbers.map(number => `Task ${number}`)
    await page.getByRole('button', { name: 'ada' }).click()
    await expect.poll(lines, patience).toEqual(tasks(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    await page.getByText('12 tasks').waitFor()

    await page.getByRole('button', { name: 'Next' }).click()
    await expect.poll(lines, patience).toEqual(tasks(11, 12))
    await log.query(`update tasks set owner = 'bob' where title = 'Task 1'`)
    await expect.poll(lines, patience).toEqual(tasks(12))
    await page.locator('input').fill('TASK 1')
    await expect.poll(lines, patience).toEqual(tasks(10, 11, 12))

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'bob' }).click()
    await expect.poll(lines, patience).toEqual(['Task 1', 'Sleep'])
    await log.query(`update tasks set done = true where owner = 'bob'`)
    await expect.poll(() => page.locator('li s').allInnerTexts(), patience).toEqual(['Task 1', 'Sleep'])
    expect(errors()).toEqual([])
  }, 90_000)

  it('says why a user is refused', async () => {
    const { page } = await run(roles.stranger)
    await page.getByRole('button', { name: 'ada' }).click()
    await page.getByText('4403 Forbidden: see the log of the server').waitFor()
  }, 60_000)
})
