import { describe, expect, it } from 'vitest'

// The modules are JavaScript for the browser and have no types.
const load = async <T>(name: string): Promise<T> =>
  (await import(new URL(`../../assets/${name}`, import.meta.url).href)) as T

type Row = Record<string, unknown>

interface Table {
  readonly queryField: string
  readonly subscriptionField: string
  readonly key: readonly string[]
  readonly columns: readonly { name: string; field: string; type: string; isKey: boolean }[]
}

interface Change {
  readonly operation: string
  readonly key?: Row | null
  readonly row?: Row | null
  readonly old?: Row | null
  readonly at?: string
}

interface Model {
  apply(change: Change): void
  take(): { items: { id: string; row?: Row; operation?: string; note?: string }[]; removed: Set<string> }
  readonly size: number
}

interface Rows extends Model {
  reset(rows: readonly Row[]): void
  readonly hasMore: boolean
  readonly lacksRows: boolean
}

const { createRows } = await load<{ createRows(table: Table, limit: number): Rows }>('rows.js')
const { createLog } = await load<{ createLog(limit: number): Model & { note(text: string): void } }>('log.js')
const { byKey } = await load<{ byKey(table: Table): (a: Row, b: Row) => number }>('order.js')
const { rowsQuery, changesQuery, shownColumns } = await load<{
  rowsQuery(table: Table, limit: number): string
  changesQuery(table: Table): string
  shownColumns(table: Table): { field: string }[]
}>('documents.js')
const { shownValue } = await load<{
  shownValue(value: unknown, type?: string): { kind: string; text: string; title: string }
}>('cell.js')
const { dataOf } = await load<{ dataOf(result: object): Row }>('ask.js')

/** `table('id:Int!', 'name:String')`: the columns up to `keys` form the key. */
function table(keys: number, ...columns: string[]): Table {
  const described = columns.map((text, index) => {
    const [field = '', type = ''] = text.split(':')
    return { name: field, field, type, isKey: index < keys }
  })
  return {
    queryField: 'things',
    subscriptionField: 'thingsChanged',
    key: described.slice(0, keys).map(({ field }) => field),
    columns: described,
  }
}

const things = table(1, 'id:Int!', 'name:String')
const thing = (id: number, name = `n${id}`) => ({ id, name })
const put = (row: { id: number; name: string }) => ({ operation: 'UPDATE', key: { id: row.id }, row })
const gone = (id: number) => ({ operation: 'DELETE', key: { id }, row: null })
const ids = (model: Model) => model.take().items.map(({ row }) => row?.id)

describe('the rows of a table', () => {
  it('are ordered by key, newest first, and follow the changes', () => {
    const rows = createRows(things, 100)
    rows.reset([thing(3), thing(2), thing(1)])
    rows.apply({ operation: 'INSERT', key: { id: 4 }, row: thing(4) })
    rows.apply(put(thing(2, 'two')))
    rows.apply(gone(1))
    const { items, removed } = rows.take()
    expect(items.map(({ row }) => row)).toEqual([thing(4), thing(3), thing(2, 'two')])
    expect([...removed]).toEqual(['[1]'])
    expect([...rows.take().removed]).toEqual([])
    rows.apply({ operation: 'TRUNCATE', key: null, row: null })
    expect(rows.take().items).toEqual([])
  })

  it('that are removed and inserted again are not shown as removed', () => {
    const rows = createRows(things, 100)
    rows.reset([thing(1)])
    rows.apply(gone(1))
    rows.apply(put(thing(1, 'again')))
    expect(rows.take()).toEqual({ items: [{ id: '[1]', row: thing(1, 'again') }], removed: new Set() })
  })

  it('keep their state when they are read again, so that only new rows are highlighted', () => {
    const rows = createRows(things, 100)
    rows.reset([thing(3), thing(2), thing(1)])
    const before = rows.take().items.map(({ row }) => row)
    rows.reset([thing(4), thing(3), thing(2, 'two')])
    const { items, removed } = rows.take()
    expect(items.map(({ row }) => row)).toEqual([thing(4), thing(3), thing(2, 'two')])
    expect(items[1]?.row).toBe(before[0])
    expect([...removed]).toEqual(['[1]'])
  })

  it('beyond the limit are left out, and the table shows that there are more', () => {
    const rows = createRows(things, 3)
    rows.reset([thing(5), thing(4), thing(3), thing(2)])
    expect([ids(rows), rows.hasMore, rows.lacksRows]).toEqual([[5, 4, 3], true, false])
    rows.apply({ operation: 'INSERT', key: { id: 6 }, row: thing(6) })
    rows.apply(put(thing(1)))
    const { items, removed } = rows.take()
    expect(items.map(({ row }) => row?.id)).toEqual([6, 5, 4])
    expect(removed.size).toBe(0) // 3 is still in the table.
    rows.apply(gone(5))
    expect([ids(rows), rows.lacksRows]).toEqual([[6, 4], true])
    rows.reset([thing(6), thing(4), thing(3)])
    expect([rows.hasMore, rows.lacksRows]).toEqual([false, false])
  })

  it('fill up without another query as long as there is room', () => {
    const rows = createRows(things, 2)
    rows.reset([])
    rows.apply(put(thing(1)))
    rows.apply(put(thing(2)))
    expect(rows.hasMore).toBe(false)
    rows.apply(put(thing(3)))
    expect([ids(rows), rows.hasMore]).toEqual([[3, 2], true])
  })

  it('are distinguished by all columns of the key', () => {
    const rows = createRows(table(2, 'a:String!', 'b:String!', 'c:Int'), 10)
    for (const [a, b] of [
      ['x', 'y'],
      ['x,', 'y'],
      ['x', ',y'],
    ])
      rows.apply({ operation: 'INSERT', key: { b, a }, row: { a, b } })
    expect(rows.size).toBe(3)
    rows.apply({ operation: 'DELETE', key: { a: 'x', b: 'y' }, row: null })
    expect(rows.take().items.map(({ row }) => row)).toEqual([
      { a: 'x', b: ',y' },
      { a: 'x,', b: 'y' },
    ])
  })
})

describe('the order by key', () => {
  const sorted = (type: string, ...values: unknown[]) =>
    values
      .map(id => ({ id }))
      .sort(byKey(table(1, `id:${type}`)))
      .map(({ id }) => id)

  it('depends on the type: newest first for numbers and times', () => {
    expect(sorted('Int!', 2, 10, -1)).toEqual([10, 2, -1])
    expect(sorted('BigInt!', '9007199254740993', '10', '9007199254740992', '-2', '-10')).toEqual([
      '9007199254740993',
      '9007199254740992',
      '10',
      '-2',
      '-10',
    ])
    expect(sorted('Decimal!', '1.5', 'NaN', '1.49', '-0.1', '-Infinity', 'Infinity', '0', '10.0')).toEqual([
      'NaN',
      'Infinity',
      '10.0',
      '1.5',
      '1.49',
      '0',
      '-0.1',
      '-Infinity',
    ])
    expect(
      sorted(
        'DateTime!',
        '2026-11-22T22:41:00Z',
        '2026-11-22T22:41:00.000001Z',
        'infinity',
        '2026-11-22T22:41:00.1Z',
        '-infinity',
      ),
    ).toEqual([
      'infinity',
      '2026-11-22T22:41:00.1Z',
      '2026-11-22T22:41:00.000001Z',
      '2026-11-22T22:41:00Z',
      '-infinity',
    ])
  })

  it('is ascending for texts, and in the later columns of a key', () => {
    expect(sorted('String!', 'b', 'B', 'a')).toEqual(['B', 'a', 'b'])
    const rows = [
      { id: 1, line: 2 },
      { id: 2, line: 1 },
      { id: 1, line: 1 },
    ]
    expect(rows.sort(byKey(table(2, 'id:Int!', 'line:Int!')))).toEqual([
      { id: 2, line: 1 },
      { id: 1, line: 1 },
      { id: 1, line: 2 },
    ])
  })
})

describe('the last changes of a table without a key', () => {
  it('are shown newest first, up to the maximum, with the former row if it was deleted', () => {
    const log = createLog(3)
    log.apply({ operation: 'INSERT', row: { a: 1 }, old: null })
    log.apply({ operation: 'UPDATE', row: { a: 2 }, old: { a: 1 } })
    log.apply({ operation: 'DELETE', row: null, old: { a: 2 } })
    log.note('Changes may have been missed here.')
    const { items } = log.take()
    expect(items.map(({ operation, row, note }) => [operation ?? note, row?.a])).toEqual([
      ['Changes may have been missed here.', undefined],
      ['DELETE', 2],
      ['UPDATE', 2],
    ])
    expect(new Set(items.map(({ id }) => id)).size).toBe(3)
  })
})

describe('the query of the page', () => {
  it('selects the key first, and orders by the greatest key if keys grow', () => {
    const odd = { ...table(0, 'name:String', 'at:DateTime!', 'id:UUID!'), key: ['id'] }
    expect(rowsQuery(things, 101)).toBe(
      '{ things(limit: 101, orderBy: [{ id: DESC }]) { cursor rows { id name } } }',
    )
    expect(rowsQuery(odd, 101)).toBe('{ things(limit: 101) { cursor rows { id name at } } }')
    expect(changesQuery(things)).toBe(
      'subscription { thingsChanged { operation at key { id } row { id name } } }',
    )
  })

  it('selects the old row for a table without a key', () => {
    expect(changesQuery(table(0, 'a:Int', 'b:Int'))).toBe(
      'subscription { thingsChanged { operation at old { a b } row { a b } } }',
    )
  })

  it('fits into a URL, however many columns the table has', () => {
    const wide = table(
      1,
      ...Array.from({ length: 1600 }, (_, index) => `a_column_of_some_length_${index}:Int`),
    )
    expect(encodeURIComponent(changesQuery({ ...wide, key: [] })).length).toBeLessThan(8_000)
    expect(shownColumns(wide)[0]?.field).toBe('a_column_of_some_length_0')
    expect(shownColumns(wide).length).toBeGreaterThan(50)
  })
})

describe('a value', () => {
  it('is shown according to its type', () => {
    expect(shownValue(null)).toEqual({ kind: 'null', text: 'NULL', title: '' })
    expect(shownValue('NULL')).toEqual({ kind: 'text', text: 'NULL', title: '' })
    expect(shownValue('')).toEqual({ kind: 'empty', text: '(empty)', title: '' })
    expect(shownValue(false)).toMatchObject({ text: 'false' })
    expect(shownValue(1.5)).toEqual({ kind: 'number', text: '1.5', title: '' })
    expect(shownValue('9007199254740993')).toMatchObject({ text: '9007199254740993' })
    expect(shownValue('two\nlines').title).toBe('two\nlines')
  })

  it('of a timestamp is shown to the second, in full in the title', () => {
    const exact = '2026-11-23T03:41:57.440149+00:00'
    expect(shownValue(exact, 'DateTime!')).toEqual({
      kind: 'moment',
      text: '2026-11-23 03:41:57Z',
      title: exact,
    })
    expect(shownValue('2026-11-23T03:41:57', 'LocalDateTime').text).toBe('2026-11-23 03:41:57')
    expect(shownValue('infinity', 'DateTime').text).toBe('infinity')
    expect(shownValue(exact, 'String').text).toBe(exact)
  })

  it('is truncated if it is long, and shown in full in the title', () => {
    const { text, title } = shownValue('x'.repeat(5000))
    expect([text, title]).toEqual([`${'x'.repeat(200)}…`, 'x'.repeat(5000)])
    expect(shownValue('x'.repeat(100_000)).title).toHaveLength(20_001)
  })

  it('of JSON is shown on one line, and indented in the title', () => {
    const value = { a: [1, { b: null }], c: 'long enough to be cut' }
    expect(shownValue(value)).toEqual({
      kind: 'json',
      text: '{"a": [1, {"b": null}], "c": "long enough to be cut"}',
      title: JSON.stringify(value, null, 2),
    })
  })

  it('of JSON that is nested too deeply causes no error', () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    expect(shownValue(deep)).toMatchObject({ kind: 'hidden' })
  })

  it('that GraphQL cannot show is replaced by the reason', () => {
    const data = dataOf({
      data: {
        things: {
          rows: [
            { id: 1, height: null },
            { id: 2, heights: [1, null] },
          ],
        },
      },
      errors: [
        { message: 'the value is NaN', path: ['things', 'rows', 0, 'height'] },
        { message: 'the value is Infinity', path: ['things', 'rows', 1, 'heights', 1] },
      ],
    }) as { things: { rows: [{ height: unknown }, { heights: unknown }] } }
    const [first, second] = data.things.rows
    expect(shownValue(first.height)).toEqual({ kind: 'hidden', text: 'not shown', title: 'the value is NaN' })
    expect(shownValue(second.heights).text).toBe('[1, not shown]')
  })
})
