import { type Nginx, startNginx } from '../support/nginx.js'
import type { Certificates } from './certificates.js'
import type { Instance } from './instances.js'

/** The certificates of nginx and of the servers, by the names of their files. */
export const PROXY_CERTIFICATE = 'proxy'
export const SERVER_CERTIFICATE = 'server'

/**
 * The nginx in front of the servers. It takes TLS off and puts it on again, and checks the certificates of the servers. Without
 * `max_fails=0`, a server that has been away gets one client each `fail_timeout`, because nginx counts it as back when a request has
 * ended, and streams do not end.
 */
export function startBalancer(
  instances: readonly Pick<Instance, 'httpsPort'>[],
  certificates: Certificates,
): Promise<Nginx> {
  const servers = instances.map(({ httpsPort }) => `server 127.0.0.1:${httpsPort} max_fails=0;`)
  return startNginx(
    port => `
  upstream listenql {
    ${servers.join('\n    ')}
  }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certificates.fileOf(PROXY_CERTIFICATE, 'crt')};
    ssl_certificate_key ${certificates.fileOf(PROXY_CERTIFICATE, 'key')};
    location / {
      proxy_pass https://listenql;
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${certificates.authorityFile};
      proxy_ssl_name localhost;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_read_timeout 1h;
    }
  }`,
    'worker_shutdown_timeout 1s;', // else the former workers, with the former certificate, stay as long as their WebSockets
  )
}
