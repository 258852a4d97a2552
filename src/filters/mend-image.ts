import type { Decode } from '../postgres/text-encoding.js'
import { createImageSifter, type ImageMember } from './image-sifter.js'
import { readUnreadable, UNREADABLE_MEMBER, type Unreadable } from './unreadable.js'

/** An image as valid JSON text, in which unreadable values are null and named. */
export interface MendedImage {
  readonly text: string
  /** The values that were lost in reading; the image may name others. */
  readonly unreadable: ReadonlyMap<string, Unreadable>
}

/** Larger values, in bytes, are left out of an image that is too large to be read as a whole. */
const MAX_VALUE_BYTES = 1024 * 1024

const NOTHING: ReadonlyMap<string, Unreadable> = new Map()

/** An image whose bytes are known. */
export async function mendImage(bytes: Buffer, decode: Decode): Promise<MendedImage> {
  const [text] = await decode([bytes])
  if (text !== undefined) return { text, unreadable: NOTHING }
  const sifter = createImageSifter(Number.POSITIVE_INFINITY)
  sifter.push(bytes)
  return assemble(sifter.end(), decode)
}

/** An image that is read in pieces, of which only small values are kept. */
export async function mendLargeImage(pieces: AsyncIterable<Buffer>, decode: Decode): Promise<MendedImage> {
  const sifter = createImageSifter(MAX_VALUE_BYTES)
  for await (const piece of pieces) sifter.push(piece)
  return assemble(sifter.end(), decode)
}

async function assemble(members: readonly ImageMember[], decode: Decode): Promise<MendedImage> {
  const texts = await decode(
    members.flatMap(({ name, value }) => (Buffer.isBuffer(value) ? [name, value] : [name])),
  )
  const unreadable = new Map<string, Unreadable>()
  const named = new Map<string, Unreadable>()
  const parts: string[] = []
  let at = 0
  for (const { value } of members) {
    const label = texts[at++]
    const text = Buffer.isBuffer(value) ? texts[at++] : undefined
    if (label === undefined) continue // the catalogue has no such column, either
    const name = JSON.parse(label) as string
    if (name === UNREADABLE_MEMBER) {
      if (text !== undefined)
        for (const [column, reason] of readUnreadable(text)) unreadable.set(column, reason)
      continue
    }
    if (text === undefined) unreadable.set(name, Buffer.isBuffer(value) ? 'encoding' : value)
    parts.push(`${label}:${text ?? 'null'}`)
  }
  const all = Object.fromEntries([...named, ...unreadable])
  if (named.size + unreadable.size > 0)
    parts.push(`${JSON.stringify(UNREADABLE_MEMBER)}:${JSON.stringify(all)}`)
  return { text: `{${parts.join(',')}}`, unreadable }
}
