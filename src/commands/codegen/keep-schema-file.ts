import { writeFile } from 'node:fs/promises'
import { messageOf } from '../../lib/errors.js'
import type { SchemaSource } from './schema-source.js'

/** Time between two reads of the schema, in ms. */
const INTERVAL_MS = 2000

export interface SchemaFileOptions {
  readonly source: SchemaSource
  readonly file: string
  /** What the file contains. */
  readonly sdl: string
  /** Gets a line when the schema cannot be read, once until it can be read again. */
  readonly report: (line: string) => void
}

/** Reads the schema again and again, and writes it to the file when it has changed. It does not keep the process running. */
export function keepSchemaFile({ source, file, sdl, report }: SchemaFileOptions): void {
  let known = sdl
  let failure: string | undefined
  async function check(): Promise<void> {
    try {
      const now = await source.read()
      failure = undefined
      if (now === known) return
      await writeFile(file, now)
      known = now
    } catch (error) {
      const message = messageOf(error)
      if (message !== failure) report(message)
      failure = message
    }
  }
  const next = () => {
    setTimeout(() => void check().finally(next), INTERVAL_MS).unref()
  }
  next()
}
