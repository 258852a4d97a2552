import type { Column } from '../src/database/types.js'
import type { RowImage } from '../src/filters/index.js'
import { ListenqlError } from '../src/lib/errors.js'

/**
 * Reads a column for GraphQL. What GraphQL cannot show becomes null with the error VALUE_NOT_SHOWN: NaN and Infinity in a
 * Float, and an array of several dimensions, which is shown as a list of one null, since the column may be NOT NULL.
 */
export function cellReader({ name, category, isArray }: Column): (image: RowImage) => unknown {
  const isFloat = category === 'float4' || category === 'float8'
  if (isArray) return image => list(image.get(name), isFloat, category === 'json')
  if (!isFloat) return image => image.get(name)
  return image => {
    const value = float(image.get(name))
    if (value instanceof Error) throw value
    return value
  }
}

/** An Error among the items is, to graphql-js, the error of that item alone. */
function list(value: unknown, isFloat: boolean, isJson: boolean): unknown {
  if (value === null) return null
  // As the log writes it: nested lists for built-in types, '{{…},{…}}' as a text for others.
  if (!Array.isArray(value) || (!isJson && value.some(Array.isArray)))
    return [notShown('an array of several dimensions')]
  return isFloat ? value.map(float) : value
}

function float(value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? notShown(String(value)) : value
}

function notShown(what: string): ListenqlError {
  return new ListenqlError('VALUE_NOT_SHOWN', `the value is ${what}, which GraphQL cannot show`)
}
