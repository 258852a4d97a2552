import {
  configurationMarkdown,
  type DatabaseChoice,
  databaseOf,
  PLACE_VARIABLES,
  printExample,
  printSettings,
} from '../config/index.js'
import { hideSecrets } from '../postgres/conninfo.js'
import { version } from '../telemetry/version.js'
import type { Invocation } from './shared/command.js'

/** Prints the effective configuration, an example file, or the page of the documentation. */
export async function configCommand({ plain, load, env, stdout, stderr }: Invocation): Promise<number> {
  if (plain.has('markdown')) {
    stdout.write(configurationMarkdown())
    return 0
  }
  if (plain.has('example')) {
    stdout.write(printExample())
    return 0
  }
  const loaded = load()
  for (const warning of loaded.warnings) stderr.write(`listenql: ${warning}\n`)
  const head = [
    `listenql ${version()}: the effective configuration, as a file for --config.`,
    ...loaded.notices,
    `Database: ${describe(databaseOf(loaded.settings, env), env)}`,
  ]
  stdout.write(printSettings(loaded, head, hideSecrets))
  return 0
}

function describe(database: DatabaseChoice, env: Invocation['env']): string {
  if (database.kind === 'url') return hideSecrets(database.url).replace(/\s+/g, ' ')
  if (database.kind === 'embedded') return `the embedded Postgres in ${database.directory ?? '.listenql'}`
  return `given by ${PLACE_VARIABLES.filter(name => env[name]).join(', ')}`
}
