import { writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Nginx, startNginx } from './nginx.js'

/** An nginx in front of a server, set up as docs/operations.md says, that a test can point to another server. */
export interface MovingNginx extends Pick<Nginx, 'restart' | 'close'> {
  readonly url: string
  /** Points it to another server and reloads it. Resolves once all connections that existed have ended. */
  moveTo(server: string): Promise<void>
}

/** @param server URL of the first server */
export async function startMovingNginx(server: string): Promise<MovingNginx> {
  let file = ''
  const upstream = (url: string) => `server ${new URL(url).host};`
  const nginx = await startNginx((port, folder) => {
    file = join(folder, 'upstream.conf')
    writeFileSync(file, upstream(server))
    return `
  upstream listenql { include ${file}; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://listenql;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $http_host;
      proxy_read_timeout 1h;
    }
  }`
  }, 'worker_shutdown_timeout 1s;')
  return {
    url: `http://127.0.0.1:${nginx.port}`,
    restart: nginx.restart,
    close: nginx.close,
    async moveTo(url) {
      await writeFile(file, upstream(url))
      await nginx.reload()
      await nginx.settled()
    },
  }
}
