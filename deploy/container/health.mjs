// The HEALTHCHECK of the image: exits with 0 if the server in this container answers GET /healthz, and with 1 if not. It finds the server
// by the same variables as the server; if the port or the base path is in the configuration file, set them as variables instead.
import { get } from 'node:http'

const { PORT = '7700', LISTENQL_PORT: port = PORT, LISTENQL_BASE_PATH: basePath = '/' } = process.env
const url = `http://127.0.0.1:${port}${basePath.replace(/\/$/, '')}/healthz`

get(url, { timeout: 4000 }, response => {
  console.log(`${url}: ${response.statusCode}`)
  process.exit(response.statusCode === 200 ? 0 : 1)
})
  .on('timeout', function () {
    this.destroy(new Error('no answer'))
  })
  .on('error', error => {
    console.error(`${url}: ${error.message}`)
    process.exit(1)
  })
