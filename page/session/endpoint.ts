// All URLs are relative to the page, so that a base path, a proxy and https need no configuration.
const at = (path: string) => new URL(path, document.baseURI)

export const graphqlUrl = () => at('graphql').href

export function socketUrl(): string {
  const url = at('graphql')
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

export const readinessUrl = () => at('readyz').href
