import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseDuration } from '../../src/config/units.js'
import { CHART_VALUES } from '../support/chart-values.js'
import { runCli } from '../support/cli.js'
import { CHART, createHelm, type Helm } from '../support/helm.js'
import { createManifestSchemas, type ManifestSchemas } from '../support/manifest-schemas.js'
import { KUBERNETES, type Manifest } from '../support/manifests.js'

// The chart of deploy/helm as Helm itself renders it, against deploy/kubernetes, the schemas of Kubernetes, and the server.

const MONITORING = resolve(import.meta.dirname, '../../deploy/monitoring')

type Fields = Readonly<Record<string, unknown>>
interface Pod {
  readonly terminationGracePeriodSeconds: number
  readonly containers: [
    { args: string[]; lifecycle: { preStop: { exec: { command: string[] } } }; env?: Fields[] },
  ]
}

const kindsOf = (manifests: readonly Manifest[]) => manifests.map(({ kind }) => kind).sort()
function find(manifests: readonly Manifest[], kind: string): Manifest {
  const found = manifests.find(one => one.kind === kind)
  if (!found) throw new Error(`no manifest of kind ${kind}`)
  return found
}
function templateOf(manifests: readonly Manifest[]): { metadata: { annotations?: Fields }; spec: Pod } {
  const { spec } = find(manifests, 'Deployment') as unknown as { spec: { template: { spec: Pod } } }
  return spec.template as ReturnType<typeof templateOf>
}
const podOf = (manifests: readonly Manifest[]) => templateOf(manifests).spec
const argsOf = (manifests: readonly Manifest[]) => podOf(manifests).containers[0].args

/** The labels that Helm's conventions add. */
const ADDED = /^(app\.kubernetes\.io\/(instance|version|managed-by)|helm\.sh\/chart)$/
/** What a manifest means: by kind, without the labels of Helm, and with the configuration that the server makes of its arguments. */
async function meaning(manifests: readonly Manifest[]): Promise<Record<string, unknown>> {
  const text = JSON.stringify(manifests, (key, value) => (ADDED.test(key) ? undefined : value))
  const plain = JSON.parse(text) as Manifest[]
  const { args } = podOf(plain).containers[0]
  const configuration = await runCli(['config', ...args])
  podOf(plain).containers[0].args = [configuration.stdout]
  return Object.fromEntries(plain.map(manifest => [manifest.kind, manifest]))
}

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the chart', () => {
  let helm: Helm
  let schemas: ManifestSchemas
  beforeAll(async () => {
    helm = await createHelm(4)
    schemas = await createManifestSchemas()
  })
  afterAll(async () => {
    await helm.close()
    await schemas.close()
  })

  it('has no fault that helm lint finds', async () => {
    expect(await helm.helm('lint', '--strict', CHART)).toContain('0 chart(s) failed')
  })

  it('means the same as deploy/kubernetes, whose secret is an example', async () => {
    const manifests = await helm.kustomize(KUBERNETES)
    const { Secret: secret, ...rest } = await meaning(manifests)
    expect(await meaning(await helm.render())).toEqual(rest)
    const { stringData } = find(manifests, 'Secret') as unknown as { stringData: Record<string, string> }
    const { Secret: created } = await meaning(
      await helm.render({ secret: { file: stringData['listenql.toml'] } }),
    )
    expect(created).toEqual(secret)
  })

  it.each(Object.entries(CHART_VALUES))('with %s, fits the schemas and the server', async (_, values) => {
    const manifests = await helm.render(values, { release: 'events' })
    await schemas.validate(manifests)
    expect(await schemas.compile(manifests)).toBe('')
    const pod = podOf(manifests)
    const { args, lifecycle } = pod.containers[0]
    const { code, stdout, stderr } = await runCli(['config', ...args])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const shutdown = parseDuration(/^ShutdownTimeout = "(.+)"/m.exec(stdout)?.[1] ?? '') as number
    const pause = Number(lifecycle.preStop.exec.command[1])
    expect(pod.terminationGracePeriodSeconds).toBe(pause + shutdown / 1000 + 10)
  })

  it('has what the values ask for, and nothing else', async () => {
    const kinds = async (name: string) => kindsOf(await helm.render(CHART_VALUES[name]))
    const always = ['Deployment', 'Service']
    const usually = [...always, 'HorizontalPodAutoscaler', 'NetworkPolicy', 'PodDisruptionBudget']
    expect(await kinds('the defaults')).toEqual([...usually].sort())
    expect(await kinds('nothing that may be left out')).toEqual(always)
    expect(await kinds('an ingress')).toEqual([...usually, 'Ingress'].sort())
    const further = ['ConfigMap', 'PodMonitor', 'PrometheusRule', 'Secret', 'ServiceAccount']
    expect(await kinds('everything')).toEqual([...usually, ...further].sort())
  })

  it('hands options to the server unchanged: numbers, lists, tables, quotes', async () => {
    const { stdout } = await runCli(['config', ...argsOf(await helm.render(CHART_VALUES.everything))])
    for (const line of [
      'Tables = ["people", "chat.*", "!chat.draft"]',
      'RoleChannels = { "agent" = ["orders", "agent $' + '{claims.sub}"], "staff" = ["*"] }',
      'Channels = ["news", "weather"]',
      'MaxFilterWork = 3000000',
      'MaxBuffer = "4MiB"',
      'JwtIssuer = "https://issuer.example.com/\\"quoted\\""',
      'Graphiql = false',
      'Debug = true',
    ])
      expect(stdout).toContain(`${line}  #`)
  })

  it('asks and routes below the base path, and takes the host of the ingress for its own', async () => {
    const manifests = await helm.render(CHART_VALUES['an ingress'])
    const text = JSON.stringify(manifests)
    expect(text.match(/"path":"[^"]+"/g)).toEqual([
      ...['healthz', 'healthz', 'readyz'].map(name => `"path":"/live/${name}"`),
      ...['"path":"/live/"', '"path":"/live/"'],
    ])
    expect(argsOf(manifests)).toContain('--url-base=https://live.example.com')
    const own = await helm.render({
      ...CHART_VALUES['an ingress'],
      options: { 'url-base': 'https://x.example' },
    })
    expect(argsOf(own).filter(arg => arg.startsWith('--url-base'))).toEqual(['--url-base=https://x.example'])
  })

  it('gives Node three quarters of the memory, or as much as is asked', async () => {
    const heap = async (values: Fields) => podOf(await helm.render(values)).containers[0].env?.[0]?.value
    expect(await heap({})).toBe('--max-old-space-size=768')
    expect(await heap({ resources: { limits: { memory: '500Mi' } } })).toBe('--max-old-space-size=375')
    expect(await heap(CHART_VALUES['a fixed number of pods, and a secret that exists'] as Fields)).toBe(
      '--max-old-space-size=600',
    )
    expect(await heap({ resources: { limits: null } })).toBeUndefined()
  })

  it('replaces the pods when the file or an option changes', async () => {
    const pod = async (values: Fields) => JSON.stringify(templateOf(await helm.render(values)))
    const file = { secret: { file: 'Retention = "1h"' } }
    expect(await pod(file)).toBe(await pod(file))
    expect(await pod({ secret: { file: 'Retention = "2h"' } })).not.toBe(await pod(file))
    expect(await pod({ ...file, options: { retention: '2h' } })).not.toBe(await pod(file))
  })

  it('tells two releases in one namespace apart', async () => {
    const one = await helm.render({}, { release: 'blue' })
    const two = await helm.render({}, { release: 'green' })
    const names = [...one, ...two].map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('Deployment blue-listenql')
    const selector = (manifests: Manifest[]) => (find(manifests, 'Service').spec as Fields).selector
    expect(selector(one)).not.toEqual(selector(two))
  })

  it.each([
    ['an unknown value', { replica: 2 }, 'replica'],
    ['an unknown option', { options: { retain: '1h' } }, 'retain'],
    ['a secret in an option', { options: { 'jwt-secret': 'x' } }, 'jwt-secret'],
    ['an option of the wrong type', { options: { graphiql: 'no' } }, 'graphiql'],
    ['a drain without time to stop', { drainSeconds: 30 }, 'drainSeconds must be less'],
    ['an autoscaler without metrics', { metrics: { enabled: false } }, 'autoscaling needs metrics'],
    ['an ingress without hosts', { ingress: { enabled: true } }, 'ingress.hosts names no host'],
    ['a limit in another unit', { resources: { limits: { memory: '1G' } } }, 'heapMegabytes'],
  ])('refuses %s', async (_, values, message) => {
    await expect(helm.render(values)).rejects.toThrow(message)
  })

  it('says how to create the secret, unless it does so itself', async () => {
    const notes = async (...args: string[]) => {
      const printed = await helm.helm('install', 'blue', CHART, '--dry-run=client', ...args)
      return printed.slice(printed.indexOf('NOTES:'))
    }
    expect(await notes()).toContain(
      'kubectl -n default create secret generic blue-listenql --from-file=listenql.toml',
    )
    expect(await notes('--set', 'secret.file=Debug = true')).not.toContain('create secret')
  })

  it('carries the alert rules and the dashboard', async () => {
    const manifests = await helm.render(CHART_VALUES.everything)
    const read = (file: string) => readFile(join(MONITORING, file), 'utf8')
    expect(find(manifests, 'PrometheusRule').spec).toEqual(parse(await read('alerts.yaml')))
    const { data } = find(manifests, 'ConfigMap') as unknown as { data: Record<string, string> }
    expect(JSON.parse(data['listenql.json'] ?? '')).toEqual(JSON.parse(await read('dashboard.json')))
  })

  it('is the same once packed, and with Helm 3', async () => {
    const expected = await helm.render(CHART_VALUES.everything)
    await helm.helm('package', CHART, '--destination', helm.folder)
    const { version } = parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8'))
    const chart = join(helm.folder, `listenql-${version}.tgz`)
    expect(await helm.render(CHART_VALUES.everything, { chart })).toEqual(expected)
    const former = await createHelm(3)
    try {
      expect(await former.helm('version', '--short')).toContain('v3.')
      expect(await former.render(CHART_VALUES.everything)).toEqual(expected)
    } finally {
      await former.close()
    }
  })
})
