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
  // Names of other machines do not resolve.
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1',
]

/** A page, and a record of what it did. */
export interface WatchedPage {
  readonly page: Page
  /** URLs of all requests and WebSockets so far that go to other machines, without `blob:` and `data:`. */
  outside(): string[]
  /** URLs of all requests and WebSockets so far. */
  requests(): string[]
  /** Violations of the Content-Security-Policy so far. */
  violations(): string[]
  /** Uncaught errors of the page's scripts so far. */
  errors(): string[]
}

export interface BrowserOptions {
  readonly colorScheme?: 'light' | 'dark'
  readonly width?: number
  readonly height?: number
  /** Heeds the page's `viewport` and has a touch screen, as a phone. */
  readonly isMobile?: boolean
  /** Accepts certificates that no authority has signed. */
  readonly ignoreHTTPSErrors?: boolean
}

/**
 * A `describe` with its own Chromium: `open` returns a fresh, isolated page. Skipped with a message if Chromium is not
 * installed.
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

    body(async ({ width = 1200, height = 800, isMobile = false, ...options } = {}) => {
      if (browser === undefined) throw new Error('open() is for tests, not for their description')
      const context = await browser.newContext({
        colorScheme: 'light',
        viewport: { width, height },
        isMobile,
        hasTouch: isMobile,
        ...options,
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

/** Path of Chromium, if it is installed. If LISTENQL_CHROMIUM names it, its tests fail instead of being skipped. */
export function findChromium(): string | undefined {
  const configured = process.env.LISTENQL_CHROMIUM
  if (configured === undefined)
    return ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(path => existsSync(path))
  if (!existsSync(configured)) throw new Error(`LISTENQL_CHROMIUM names ${configured}, which does not exist`)
  return configured
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
