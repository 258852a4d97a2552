import { graphqlUrl } from './endpoint.js'

/** The code of a failure without a GraphQL code: the server cannot be reached. */
export const AWAY = 'AWAY'

/**
 * Sends a GraphQL query. Resolves with its data, in which a value that could not be shown is a `NotShown`.
 * Throws `{ code, text }`: code is the error's `extensions.code`, or AWAY; text is the message to display.
 */
export async function ask(query, signal) {
  let result
  try {
    const response = await fetch(graphqlUrl(), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ query }),
      cache: 'no-store',
      signal,
    })
    result = await response.json()
  } catch {
    throw { code: AWAY, text: 'The server cannot be reached.' }
  }
  return dataOf(result)
}

/** The data of a result; throws like `ask` if the result has none. */
export function dataOf({ data, errors = [] }) {
  if (data == null) {
    const { message = 'The server sent no data.', extensions = {} } = errors[0] ?? {}
    throw { code: extensions.code, text: message }
  }
  for (const { path, message } of errors) mark(data, path ?? [], message)
  return data
}

/** Stands for a value that GraphQL cannot show, such as NaN. */
export class NotShown {
  constructor(why) {
    this.why = why
  }
}

function mark(data, path, why) {
  const parent = path.slice(0, -1).reduce((value, part) => value?.[part], data)
  if (parent != null) parent[path.at(-1)] = new NotShown(why)
}
