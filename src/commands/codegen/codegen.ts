import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { codegenConfig } from '../../codegen/index.js'
import { abortable } from '../../lib/abort.js'
import { ListenqlError, messageOf } from '../../lib/errors.js'
import type { Streams } from '../shared/command.js'
import { keepSchemaFile } from './keep-schema-file.js'
import { loadGenerator } from './load-generator.js'
import type { SchemaSource } from './schema-source.js'

export interface CodegenArguments {
  readonly source: SchemaSource
  /** Glob patterns. Default: that of `codegenConfig`. */
  readonly documents: readonly string[]
  /** The folder of the generated files. */
  readonly out: string
  readonly importExtension: '' | '.js'
  /** Set to generate again when operations or the schema change, until it aborts. */
  readonly watch: AbortSignal | undefined
}

/**
 * Generates the types of an application's operations, with the generator that is installed in the project. The schema is kept beside
 * them, in `schema.graphql`.
 * @throws ListenqlError CODEGEN_FAILED if the generator is not installed, the schema cannot be read or an operation does not fit it
 */
export async function codegenCommand(
  { source, documents, out, importExtension, watch }: CodegenArguments,
  { stdout, stderr }: Pick<Streams, 'stdout' | 'stderr'>,
): Promise<number> {
  const cwd = process.cwd()
  const { CodegenContext, generate } = await loadGenerator(cwd, watch !== undefined)
  const file = join(out, 'schema.graphql')
  const sdl = await source.read()
  await mkdir(out, { recursive: true })
  await writeIfOther(file, sdl)
  const given = { schema: file, out, importExtension, ...(documents.length > 0 && { documents }) }
  // Without it, versions 5 and 6 leave out files with a syntax error as long as others are right.
  const config = { ...codegenConfig(given), cwd, noSilentErrors: true }
  if (watch) {
    stdout.write(`Watching the operations and the schema of ${source.name}. Ctrl-C ends it.\n`)
    keepSchemaFile({ source, file, sdl, report: line => stderr.write(`listenql: ${line}\n`) })
    // To watch, the generator needs a file of the configuration. The schema's file is watched anyway.
    const generating = generate(
      new CodegenContext({ config: { ...config, watch: true }, filepath: resolve(file) }),
      true,
    )
    // The generator stops at a signal to the process, but its promise does not resolve.
    await abortable(generating, watch).catch((error: unknown) => {
      if (!watch.aborted) throw error
    })
    return 0
  }
  const files = await generate({ ...config, silent: true }, true).catch((error: unknown) => {
    throw new ListenqlError('CODEGEN_FAILED', withoutStack(messageOf(error)), { cause: error })
  })
  const names = [file, ...files.map(({ filename }) => relative(cwd, resolve(cwd, filename)))].sort()
  stdout.write(`Schema of ${source.name}\n${names.map(name => `  ${name}\n`).join('')}`)
  return 0
}

/** Messages of the generator may contain the lines of its stack. */
function withoutStack(message: string): string {
  return message.replace(/\n\s+at .*node_modules.*/g, '')
}

async function writeIfOther(file: string, text: string): Promise<void> {
  const present = await readFile(file, 'utf8').catch(() => undefined)
  if (present !== text) await writeFile(file, text)
}
