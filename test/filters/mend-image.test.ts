import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createImageSifter } from '../../src/filters/image-sifter.js'
import { createImageReader, mendImage, mendLargeImage } from '../../src/filters/index.js'
import type { Column } from '../../src/postgres/types.js'

const space = fc.constantFrom('', ' ', '\n', ' \t')
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 })
const members = fc.uniqueArray(fc.tuple(name, fc.jsonValue()), { selector: ([key]) => key, maxLength: 6 })

/** An image with white space in places, as a json column may contain it. */
const image = fc.tuple(members, space).map(([all, s]) => {
  const parts = all.map(
    ([key, value]) => `${s}${JSON.stringify(key)}${s}:${s}${JSON.stringify(value, null, s)}${s}`,
  )
  return { all, text: `${s}{${parts.join(',') || s}}${s}` }
})

/** Only UTF8, as in a database in SQL_ASCII. */
async function decode(bytes: readonly Buffer[]) {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return bytes.map(one => {
    try {
      return decoder.decode(one)
    } catch {
      return undefined
    }
  })
}

/** Splits bytes at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map(place => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
}

describe('an image', () => {
  it('is split into its members, wherever the chunks begin and end', () => {
    fc.assert(
      fc.property(image, fc.array(fc.nat(200)), ({ all, text }, places) => {
        const sifter = createImageSifter(Number.POSITIVE_INFINITY)
        for (const piece of cut(Buffer.from(text), places)) sifter.push(piece)
        const found = sifter
          .end()
          .map(member => [JSON.parse(String(member.name)), JSON.parse(String(member.value))])
        expect(found).toEqual(all.map(([key, value]) => [key, JSON.parse(JSON.stringify(value))]))
      }),
    )
  })

  it('is refused if it is truncated or not an object', () => {
    const text = '{"a":{"x":["]}\\"",1]},"b":"\\\\","c":-1.5e3,"d":null}'
    for (const bad of [...Array(text.length).keys()]
      .map(length => text.slice(0, length))
      .concat(['', '{"a"}', '{"a":}', '{"a":1,,"b":2}'])) {
      const sifter = createImageSifter(10)
      const take = () => {
        sifter.push(Buffer.from(bad))
        return sifter.end()
      }
      expect(take, bad).toThrow(SyntaxError)
    }
  })

  it('is split without the values that are too large, of which only the size is kept', () => {
    const sifter = createImageSifter(5)
    for (const piece of ['{"a":"12', '34", "b":123', '45,"c":', '[1,2,3]}']) sifter.push(Buffer.from(piece))
    expect(
      sifter
        .end()
        .map(({ name, value }) => [String(name), typeof value === 'number' ? value : String(value)]),
    ).toEqual([
      ['"a"', 4],
      ['"b"', '12345'],
      ['"c"', 7],
    ])
  })
})

describe('a mended image', () => {
  const columns = ['a', 'b', 'c'].map(
    (column): Column => ({
      name: column,
      category: 'json',
      isArray: false,
      baseType: 'json',
      typeName: 'json',
      typeOid: 0,
      notNull: false,
    }),
  )
  const read = createImageReader(columns)

  it('has the values that are text, and the names of the others', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"a":{"x" : "'),
      Buffer.from([0xff]),
      Buffer.from('"},"b":1.50,"c":"é"}'),
    ])
    const { text, unreadable } = await mendImage(bytes, decode)
    expect([...unreadable]).toEqual([['a', 'encoding']])
    const row = read(text)
    expect(row.unreadable('a')).toBe('encoding')
    expect([row.json('a'), row.json('b'), row.json('c')]).toEqual(['null', '1.50', '"é"'])
    expect([row.isNull('a'), row.isNull('b')]).toEqual([false, false])
    expect([row.unreadable('b'), row.hasUnreadable]).toEqual([undefined, true])
  })

  it('lacks the columns whose names are not text', async () => {
    const bytes = Buffer.concat([Buffer.from('{"'), Buffer.from([0xc3]), Buffer.from('":1,"a":2}')])
    expect((await mendImage(bytes, decode)).text).toBe('{"a":2}')
  })

  it('keeps what the log marks as missing', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"a":null,"b":"'),
      Buffer.from([0x80]),
      Buffer.from('","":{"a":188743680}}'),
    ])
    const row = read((await mendImage(bytes, decode)).text)
    expect([row.unreadable('a'), row.unreadable('b'), row.unreadable('c')]).toEqual([
      188743680,
      'encoding',
      undefined,
    ])
  })

  it('is built in pieces: values of more than a megabyte are left out', async () => {
    const large = `"${'x'.repeat(2 ** 20)}"`
    const bytes = Buffer.from(`{"a":${large},"b":"small","c":null}`)
    async function* pieces() {
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
    }
    const row = read((await mendLargeImage(pieces(), decode)).text)
    expect([row.unreadable('a'), row.json('b'), row.isNull('c')]).toEqual([2 ** 20, '"small"', true])
  })

  it('names the size of a value as text, without the quotes and escapes of JSON', async () => {
    const sizeOf = async (json: string) => {
      async function* pieces() {
        const bytes = Buffer.from(`{"a":${json}}`)
        for (let at = 0; at < bytes.length; at += 1001) yield bytes.subarray(at, at + 1001)
      }
      return read((await mendLargeImage(pieces(), decode)).text).unreadable('a')
    }
    for (const character of ['x', 'é', '\n', '\u0001', '"', '\\', '\\u'])
      expect(await sizeOf(JSON.stringify(character.repeat(2 ** 20)))).toBe(
        Buffer.byteLength(character) * 2 ** 20,
      )
    const hex = `\\x${'00'.repeat(2 ** 20)}`
    expect(await sizeOf(JSON.stringify(hex))).toBe(hex.length)
    const list = JSON.stringify(Array.from({ length: 2 ** 18 }, () => 'abcd'))
    expect(await sizeOf(list)).toBe(list.length)
  })

  it('is unchanged if all of it is text', async () => {
    await fc.assert(
      fc.asyncProperty(image, async ({ text }) => {
        expect((await mendImage(Buffer.from(text), decode)).text).toBe(text)
      }),
    )
  })
})
