/** Sends a query with POST, and resolves with its data. Rejects with the errors. */
export async function query(
  url: string,
  text: string,
  variables: Record<string, unknown> = {},
): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: text, variables }),
  })
  return dataOf((await response.json()) as Record<string, unknown>)
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
