/** Sends a query with POST, and resolves with the result, whether it has data or errors. */
export async function resultOf(
  url: string,
  text: string,
  { token, variables = {} }: { token?: string | undefined; variables?: Record<string, unknown> } = {},
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query: text, variables }),
  })
  return (await response.json()) as Record<string, unknown>
}

/** Sends a query with POST, and resolves with its data. Rejects with the errors. */
export async function query(
  url: string,
  text: string,
  variables: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  return dataOf(await resultOf(url, text, { variables }))
}

/** Returns the data of a result without errors. */
export function dataOf(result: Record<string, unknown>): Record<string, unknown> {
  if (result.errors || !result.data) throw new Error(`not just data: ${JSON.stringify(result)}`)
  return result.data as Record<string, unknown>
}

/** Returns the code of the first error of a result. */
export function codeOf(result: Record<string, unknown>): string | undefined {
  return (result as { errors?: { extensions?: { code?: string } }[] }).errors?.[0]?.extensions?.code
}
