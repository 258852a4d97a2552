import { JsonText, type RowImage, unreadableError } from '../src/filters/index.js'
import { ListenqlError } from '../src/lib/errors.js'
import type { Column } from '../src/postgres/types.js'
import type { SchemaContext } from './context.js'

/** How JSON values are to be returned. */
export type Writing = Pick<SchemaContext, 'keepsJsonText'>

/**
 * Reads a column for GraphQL. A value that GraphQL cannot show becomes null with the error VALUE_NOT_SHOWN: NaN and Infinity in a
 * Float, a JSON value that serialisation would change, an unreadable value, an array of several dimensions, and in a key an array whose
 * indexes do not begin at 1. An array is shown as a list of one null, since the column may be NOT NULL.
 */
export function cellReader(
  { name, category, isArray }: Column,
  shownAs = name,
): (image: RowImage, writing: Writing) => unknown {
  const show = showing(category)
  const lost = (image: RowImage) => {
    const reason = image.unreadable(name)
    return reason === undefined ? undefined : unreadableError(shownAs, reason)
  }
  if (isArray) {
    return (image, writing) => {
      const error = image.hasUnreadable ? lost(image) : undefined
      return error ? [error] : list(image.get(name), writing, show)
    }
  }
  return (image, writing) => {
    const error = image.hasUnreadable ? lost(image) : undefined
    const value = error ?? (show ? show(image.get(name), writing) : image.get(name))
    if (value instanceof Error) throw value
    return value
  }
}

type Show = (value: unknown, writing: Writing) => unknown

/** The conversion of each value of a type; undefined: none. */
function showing(category: Column['category']): Show | undefined {
  if (category === 'float4' || category === 'float8') return float
  return category === 'json' ? json : undefined
}

/** For graphql-js, an Error among the items is the error of that item only. */
function list(value: unknown, writing: Writing, show: Show | undefined): unknown {
  if (value === null) return null
  // The log writes nested lists for built-in types, and '{{…},{…}}' as a text for others; in keys '[0:1]={…}' as a text.
  if (typeof value === 'string' && value.startsWith('['))
    return [notShown('an array whose indexes do not begin at 1')]
  if (!Array.isArray(value) || value.some(Array.isArray)) return [notShown('an array of several dimensions')]
  return show ? value.map(item => show(item, writing)) : value
}

function float(value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? notShown(String(value)) : value
}

/** A JSON value, or an Error if it cannot be returned unchanged. */
export function json(value: unknown, { keepsJsonText }: Writing): unknown {
  if (keepsJsonText || !(value instanceof JsonText)) return value
  try {
    return value.exactValue()
  } catch (error) {
    if (error instanceof ListenqlError) return error
    throw error
  }
}

function notShown(what: string): ListenqlError {
  return new ListenqlError('VALUE_NOT_SHOWN', `the value is ${what}, which GraphQL cannot show`)
}
