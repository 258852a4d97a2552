import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { FILE_PLACES } from '../../src/config/file.js'
import { parseDuration } from '../../src/config/units.js'
import { runCli } from '../support/cli.js'
import { KUBERNETES, type Manifest, readManifests } from '../support/manifests.js'
import { createTestDatabase } from '../support/postgres.js'
import { cleanEnvironment, createCommands } from '../support/running.js'

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}
interface Container extends Record<'startupProbe' | 'livenessProbe' | 'readinessProbe', Probe> {
  readonly args: string[]
  readonly ports: { name: string; containerPort: number }[]
  readonly env: { name: string }[]
  readonly securityContext: unknown
  readonly volumeMounts: { name: string; mountPath: string }[]
  readonly lifecycle: { preStop: { exec: { command: string[] } } }
}
interface Pod {
  readonly containers: [Container]
  readonly volumes: { name: string; secret: { secretName: string } }[]
  readonly terminationGracePeriodSeconds: number
  readonly [field: string]: unknown
}
interface DeploymentSpec {
  readonly selector: { matchLabels: Record<string, string> }
  readonly template: { metadata: { labels: Record<string, string> }; spec: Pod }
  readonly [field: string]: unknown
}

let manifests: Manifest[]
let deployment: DeploymentSpec
let pod: Pod
let container: Container
beforeAll(async () => {
  manifests = await readManifests()
  deployment = specOf('Deployment') as unknown as DeploymentSpec
  pod = deployment.template.spec
  container = pod.containers[0]
})
const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

function find(kind: string): Manifest {
  const found = manifests.filter(one => one.kind === kind)
  if (found.length !== 1) throw new Error(`${found.length} manifests of kind ${kind}`)
  return found[0] as Manifest
}
const specOf = (kind: string) => find(kind).spec as Record<string, unknown>

describe('the manifests', () => {
  it('are all in the kustomization', async () => {
    const files = (await readdir(KUBERNETES)).filter(file => file !== 'kustomization.yaml')
    expect(manifests.map(({ file }) => file).sort()).toEqual(files.sort())
  })

  it('select the pods of the deployment, and no others', () => {
    const { labels } = deployment.template.metadata
    const selectors = [
      deployment.selector.matchLabels,
      specOf('Service').selector,
      (specOf('PodDisruptionBudget').selector as DeploymentSpec['selector']).matchLabels,
      (specOf('NetworkPolicy').podSelector as DeploymentSpec['selector']).matchLabels,
    ]
    for (const selector of selectors) expect(selector).toEqual(labels)
    const { apiVersion, kind, metadata } = find('Deployment')
    expect(specOf('HorizontalPodAutoscaler').scaleTargetRef).toEqual({
      apiVersion,
      kind,
      name: metadata.name,
    })
    expect(deployment.replicas).toBeUndefined() // each `kubectl apply` would undo what the autoscaler did
  })

  it('name the ports of the server by their names, and the service has no metrics', () => {
    expect(container.ports).toEqual([
      { name: 'http', containerPort: 7700 },
      { name: 'metrics', containerPort: 9464 },
    ])
    expect(container.args?.slice(-2)).toEqual(['--metrics-port', '9464'])
    const services = specOf('Service').ports as { targetPort: string }[]
    expect(services.map(({ targetPort }) => targetPort)).toEqual(['http'])
    const ingress = specOf('NetworkPolicy').ingress as { ports: { port: string }[] }[]
    expect(ingress.map(({ ports }) => ports.map(({ port }) => port))).toEqual([['http'], ['metrics']])
  })

  it('mount the secret where the server looks for its file, which is valid', async () => {
    const [mount] = container.volumeMounts
    const volume = pod.volumes.find(({ name }) => name === mount?.name)
    const secret = find('Secret')
    expect(volume?.secret.secretName).toBe(secret.metadata.name)
    const [[name, text]] = Object.entries(secret.stringData as Record<string, string>) as [[string, string]]
    expect(FILE_PLACES).toContain(`${mount?.mountPath}/${name}`)
    const folder = await mkdtemp(join(tmpdir(), 'listenql-secret-'))
    cleanUps.push(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, name), text)
    const args = ['config', '--config', join(folder, name), ...container.args]
    expect(await runCli(args)).toMatchObject({ code: 0, stderr: '' })
  })

  it('give the server longer to stop than the pause before and --shutdown-timeout', () => {
    const argument = (flag: string) =>
      (parseDuration(container.args[container.args.indexOf(flag) + 1] ?? '') ?? Number.NaN) / 1000
    const [program, pause] = container.lifecycle.preStop.exec.command
    expect(program).toBe('sleep')
    expect(argument('--drain')).toBeGreaterThan(0)
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(Number(pause) + argument('--shutdown-timeout'))
  })

  it('keep Kubernetes from setting LISTENQL_PORT, which the server would take for its option', async () => {
    expect(pod.enableServiceLinks).toBe(false)
    const env = { ...cleanEnvironment(), LISTENQL_PORT: 'tcp://10.96.0.1:80' }
    const commands = createCommands()
    const server = commands.spawn(process.execPath, ['dist/src/cli.js', 'config'], { env })
    expect(await server.end).toBe(2)
    expect(server.err()).toContain('LISTENQL_PORT')
  })

  it('run the server as in the image: not as root, without rights, on a read-only file system', () => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    })
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })
})

it('the server answers the probes, which name no host, but the address of the pod', async () => {
  const database = await createTestDatabase()
  cleanUps.push(() => database.close())
  const commands = createCommands()
  cleanUps.push(() => commands.endAll())
  const server = await commands.serve('--database-url', database.url, '--host', '0.0.0.0')
  const { port } = new URL(server.url)
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe]
  expect(probes.map(({ httpGet }) => httpGet.path)).toEqual(['/healthz', '/healthz', '/readyz'])
  for (const { httpGet } of probes) {
    const status = await new Promise(resolve =>
      request({ port, path: httpGet.path, headers: { host: '10.1.2.3:7700' } }, response => {
        response.resume()
        resolve(response.statusCode)
      }).end(),
    )
    expect(status).toBe(200)
  }
})
