import { request } from 'node:https'
import type { PeerCertificate, TLSSocket } from 'node:tls'

/** Where clients find the servers, and the authority that they trust. */
export interface Entrance {
  readonly url: string
  readonly ca: string
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly certificate: PeerCertificate
}

/** Sends a GraphQL request on a connection of its own. @param headers further ones */
export function ask(
  { url, ca }: Entrance,
  query: string,
  token: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/graphql`,
      {
        method: 'POST',
        agent: false,
        ca,
        headers: { ...headers, 'content-type': 'application/json', authorization: `Bearer ${token}` },
      },
      response => {
        const certificate = (response.socket as TLSSocket).getPeerCertificate()
        let body = ''
        response.setEncoding('utf8')
        response.on('data', chunk => (body += chunk))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body, certificate }))
      },
    )
    sent.on('error', reject)
    sent.end(JSON.stringify({ query }))
  })
}
