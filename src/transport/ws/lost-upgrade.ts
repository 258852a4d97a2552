import type { IncomingMessage } from 'node:http'

/**
 * Whether a request is the handshake of a WebSocket without its header Upgrade, or without Connection naming it. Both headers are
 * for one hop only (https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1): a proxy drops them by default.
 */
export function lostItsUpgrade({ headers }: IncomingMessage): boolean {
  return headers['sec-websocket-key'] !== undefined || headers['sec-websocket-version'] !== undefined
}

export const LOST_UPGRADE = `This is a WebSocket request without its headers Upgrade and Connection: a proxy drops them unless it is configured to pass them on.
In nginx, add to the location:
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
In Apache 2.4.47 or newer, add to ProxyPass: upgrade=websocket
`

/**
 * The headers of a 426 (https://www.rfc-editor.org/rfc/rfc9110#section-15.5.22). Without `close` Node would keep the connection open,
 * whatever the client sent.
 */
export const UPGRADE_HEADERS = { upgrade: 'websocket', connection: 'upgrade, close' } as const
