import { type Condition, FIRST_VIEW, OPERATORS, PAGE_SIZES, type View } from '../tables/view.js'

/** What the page shows, as its address says. */
export interface Address {
  readonly channels: readonly string[]
  /** The query field of the table; undefined: the first one. */
  readonly table: string | undefined
  readonly view: View
}

/**
 * Reads the part of the address after `#`: `people,chat&table=orders&order=-total&rows=all` has two channels, and all rows of the
 * table with the query field `orders`, the greatest total first. Each name is encoded, so that a comma or & in it does not separate.
 */
export function readAddress(hash: string): Address {
  const [channels = '', ...rest] = hash.replace(/^#/, '').split('&')
  const given = new Map(
    rest.map(part => [part.split('=')[0] ?? '', decoded(part.slice(part.indexOf('=') + 1))]),
  )
  const order = given.get('order')
  return {
    channels: [...new Set(channels.split(',').map(decoded))].filter(name => name !== ''),
    table: given.get('table') || undefined,
    view: {
      conditions: conditionsOf(given.get('where')),
      order: order ? { field: order.replace(/^-/, ''), isDescending: order.startsWith('-') } : undefined,
      size: PAGE_SIZES.find(size => String(size) === given.get('rows')) ?? FIRST_VIEW.size,
      page: Math.max(0, Math.trunc(Number(given.get('page') ?? 1)) - 1) || 0,
    },
  }
}

/** The reverse of `readAddress`; without what is as it is at first. */
export function writeAddress({ channels, table, view }: Address): string {
  const { conditions, order, size, page } = view
  const given = {
    table,
    where:
      conditions.length > 0
        ? JSON.stringify(conditions.map(each => [each.field, each.operator, each.value]))
        : '',
    order: order && `${order.isDescending ? '-' : ''}${order.field}`,
    rows: size === FIRST_VIEW.size ? '' : String(size),
    page: page > 0 ? String(page + 1) : '',
  }
  const rest = Object.entries(given).flatMap(([name, value]) =>
    value ? `&${name}=${encodeURIComponent(value)}` : [],
  )
  return channels.map(encodeURIComponent).join(',') + rest.join('')
}

function conditionsOf(text = ''): readonly Condition[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.flatMap(condition) : []
  } catch {
    return []
  }
}

function condition(given: unknown): Condition[] {
  if (!Array.isArray(given)) return []
  const [field, operator, value] = given.map(String)
  if (field === undefined || value === undefined || !Object.hasOwn(OPERATORS, operator ?? '')) return []
  return [{ field, operator: operator as Condition['operator'], value }]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
