import { existsSync } from 'node:fs'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'

const ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Names outside of this machine do not even resolve.
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1',
]

/** A page, and what it did. */
export interface WatchedPage {
  readonly page: Page
  /** URLs of all requests and WebSockets so far that leave this machine; `blob:` and `data:` do not. */
  outside(): string[]
  /** URLs of all requests and WebSockets so far. */
  requests(): string[]
  /** What the Content-Security-Policy refused so far. */
  violations(): string[]
  /** Uncaught errors of the page's scripts so far. */
  errors(): string[]
}

export interface BrowserOptions {
  readonly colorScheme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
  /** Takes certificates that nobody vouches for. */
  readonly ignoreHTTPSErrors?: boolean
}

/**
 * A `describe` with a Chromium of its own: `open` gives a fresh, isolated page. Skipped, with a word, where there is none.
 */
export function describeInBrowser(
  name: string,
  body: (open: (options?: BrowserOptions) => Promise<WatchedPage>) => void,
): void {
  const executablePath = findChromium()
  if (executablePath === undefined) {
    console.warn(
      `Skipped: ${name}. There is no Chromium here: apt-get install chromium, or set LISTENQL_CHROMIUM to its path.`,
    )
  }
  describe.skipIf(executablePath === undefined)(name, () => {
    let browser: Browser | undefined
    const contexts: BrowserContext[] = []

    beforeAll(async () => {
      browser = await launchChromium()
    }, 60_000)

    afterEach(async () => {
      await Promise.all(contexts.splice(0).map(context => context.close()))
    })

    afterAll(async () => {
      await browser?.close()
    }, 60_000)

    body(async ({ colorScheme = 'light', width = 1200, height = 800, ignoreHTTPSErrors = false } = {}) => {
      if (browser === undefined) throw new Error('open() is for tests, not for their description')
      const context = await browser.newContext({
        colorScheme,
        viewport: { width, height },
        ignoreHTTPSErrors,
      })
      contexts.push(context)
      return watch(context)
    })
  })
}

/** The caller closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium() ?? '', args: ARGUMENTS })
}

/** Path of Chromium, if there is one. LISTENQL_CHROMIUM names it, so that its tests fail rather than skip. */
export function findChromium(): string | undefined {
  const told = process.env.LISTENQL_CHROMIUM
  if (told === undefined)
    return ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(path => existsSync(path))
  if (!existsSync(told)) throw new Error(`LISTENQL_CHROMIUM names ${told}, which does not exist`)
  return told
}

async function watch(context: BrowserContext): Promise<WatchedPage> {
  const requests: string[] = []
  const violations: string[] = []
  const errors: string[] = []
  context.on('request', request => requests.push(request.url()))
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  page.on('websocket', socket => requests.push(socket.url()))
  page.on('pageerror', error => errors.push(error.message))
  page.on('console', message => {
    if (message.text().includes('Content Security Policy')) violations.push(message.text())
  })
  return {
    page,
    outside: () => requests.filter(url => !staysHere(url)),
    requests: () => [...requests],
    violations: () => [...violations],
    errors: () => [...errors],
  }
}

function staysHere(url: string): boolean {
  const { protocol, hostname } = new URL(url)
  if (['blob:', 'data:', 'file:', 'about:'].includes(protocol)) return true
  return hostname === 'localhost' || hostname === '127.0.0.1'
}
