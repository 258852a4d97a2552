import { writeFile } from 'node:fs/promises'
import type { Locator, Page } from 'playwright-core'

/**
 * Writes pictures of one part of a page beside each other, as one PNG for the docs.
 * @param moments bring the page to each moment, with its caption
 */
export async function writeFrames(
  page: Page,
  part: Locator,
  file: string,
  moments: readonly (readonly [caption: string, bring: () => Promise<void>])[],
): Promise<void> {
  const figures: string[] = []
  for (const [caption, bring] of moments) {
    await bring()
    const picture = (await part.screenshot({ animations: 'disabled' })).toString('base64')
    figures.push(
      `<figure><img src="data:image/png;base64,${picture}" alt=""><figcaption>${caption}</figcaption></figure>`,
    )
  }
  const sheet = await page.context().newPage()
  await sheet.setContent(`<style>
    body { margin: 0; font: 16px system-ui, sans-serif; background: #fff; color: #222 }
    main { display: flex; gap: 12px; width: 1500px; padding: 12px } figure { margin: 0; flex: 1 } img { width: 100% }
    figcaption { padding: 6px 2px }
  </style><main>${figures.join('')}</main>`)
  await writeFile(file, await sheet.locator('main').screenshot())
  await sheet.close()
}
