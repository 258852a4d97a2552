/** Waits, in short steps, for something that sends no event. Throws after `ms` milliseconds. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  what = 'a condition',
  ms = 20_000,
): Promise<void> {
  for (const deadline = Date.now() + ms; !(await condition()); ) {
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
