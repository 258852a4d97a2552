import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { installFormer } from '../support/former-log.js'
import type { Nginx } from '../support/nginx.js'
import { PROXY_CERTIFICATE, SERVER_CERTIFICATE, startBalancer } from './balancer.js'
import { type Certificates, createAuthority } from './certificates.js'
import { type Cluster, startCluster } from './cluster.js'
import { createInstance, type Instance } from './instances.js'
import { type DayIssuer, startDayIssuer } from './issuer.js'
import { type Prometheus, startPrometheus } from './prometheus.js'
import type { Entrance } from './requests.js'
import { PUBLISH_SQL, SERVER, SHOP_SQL, TABLES, WRITER } from './shop.js'

/** The version of the schema `listenql` in the morning. In the evening it is upgraded to the newest. */
export const FORMER_VERSION = 14

/** Of `--max-log-size`, in bytes. */
export const LOG_LIMIT = 24 * 2 ** 20

/** The machines of the day: a cluster of Postgres, three servers, nginx, the issuer of tokens, and Prometheus. */
export interface Day {
  readonly cluster: Cluster
  /** The servers' URL of the database. */
  readonly serverUrl: string
  readonly writerUrl: string
  readonly instances: readonly Instance[]
  readonly nginx: Nginx
  readonly certificates: Certificates
  readonly issuer: DayIssuer
  readonly prometheus: Prometheus
  readonly entrance: Entrance
  /** The same for one server, without nginx. */
  entranceOf(instance: Instance): Entrance
  /** Replaces a line `KEY = …` of the configuration file of the servers, which read it when they start. */
  configure(key: string, value: string): Promise<void>
  /** What must not happen, in words. */
  readonly complaints: string[]
  close(): Promise<void>
}

const CONFIG = 'listenql.toml'

export async function startDay(): Promise<Day> {
  const complaints: string[] = []
  const complain = (text: string) => void complaints.push(text)
  const closing: (() => unknown)[] = []
  const close = async () => {
    for (const end of closing.splice(0).reverse()) await end()
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'listenql-day-'))
    closing.push(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    const cluster = await startCluster('shop')
    closing.push(cluster.close)
    await cluster.query(SHOP_SQL)
    const serverUrl = cluster.urlOf(SERVER.login, SERVER.password)
    await installAs(serverUrl)
    await cluster.query(PUBLISH_SQL)
    await cluster.addStandby()

    const certificates = await createAuthority(folder)
    for (const name of [PROXY_CERTIFICATE, SERVER_CERTIFICATE]) await certificates.issue(name)
    const issuer = await startDayIssuer()
    closing.push(issuer.close)
    const config = join(folder, CONFIG)
    const instances = await Promise.all(
      ['a', 'b', 'c'].map(name => createInstance(`server ${name}`, { folder, config: CONFIG, complain })),
    )
    const nginx = await startBalancer(instances, certificates)
    closing.push(nginx.close)
    const url = `https://127.0.0.1:${nginx.port}`
    await writeFile(config, configuration({ serverUrl, url, jwksUrl: issuer.url }))
    for (const instance of instances) closing.push(instance.kill)
    await Promise.all(instances.map(instance => instance.start()))
    const prometheus = await startPrometheus(
      folder,
      instances.map(({ metricsPort }) => metricsPort),
    )
    closing.push(prometheus.close)
    const ca = await readFile(certificates.authorityFile, 'utf8')
    return {
      cluster,
      serverUrl,
      writerUrl: cluster.urlOf(WRITER.login, WRITER.password),
      instances,
      nginx,
      certificates,
      issuer,
      prometheus,
      entrance: { url, ca },
      entranceOf: ({ httpsPort }) => ({ url: `https://127.0.0.1:${httpsPort}`, ca }),
      async configure(key, value) {
        const text = await readFile(config, 'utf8')
        await writeFile(config, text.replace(new RegExp(`^${key} = .*$`, 'm'), `${key} = ${value}`))
      },
      complaints,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Installs the former version of the schema as the servers' login, which owns it then. */
async function installAs(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await installFormer((sql, params = []) => client.query(sql, [...params]), FORMER_VERSION)
  } finally {
    await client.end()
  }
}

function configuration(urls: {
  readonly serverUrl: string
  readonly url: string
  readonly jwksUrl: string
}): string {
  return `DbConnection = "${urls.serverUrl}"
Tables = ${JSON.stringify(TABLES)}
MaxLogSize = ${LOG_LIMIT}
JwksUrl = "${urls.jwksUrl}"
TlsServerCertificateFile = "${SERVER_CERTIFICATE}.crt"
TlsServerPrivateKeyFile = "${SERVER_CERTIFICATE}.key"
UrlBase = "${urls.url}"
TrustProxy = ["127.0.0.1"]
KeepAlive = "2s"
ReconnectMax = "2s"
Drain = "2s"
ShutdownTimeout = "5s"
LogFormat = "json"

[RoleChannels]
clerk = ["news"]
`
}
