import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { cleanEnvironment } from './running.js'

/** One instruction of a Dockerfile: `{ name: 'RUN', args: 'npm ci' }`. */
export interface Instruction {
  readonly name: string
  readonly args: string
}

/** One `FROM` and what follows it. */
export interface Stage {
  /** The name after `AS`; the number of the stage if there is none. */
  readonly name: string
  readonly from: string
  readonly instructions: readonly Instruction[]
}

/** Reads instructions, comments and lines that `\` continues, and nothing else of the language. */
export async function readDockerfile(file: string): Promise<Stage[]> {
  const text = (await readFile(file, 'utf8')).replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, ' ')
  const stages: (Stage & { instructions: Instruction[] })[] = []
  for (const line of text.split('\n').filter(line => line.trim() !== '')) {
    const [, name = '', args = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (name === '') throw new Error(`not an instruction: ${line}`)
    if (name === 'FROM') {
      const [from = '', , as] = args.split(/\s+/)
      stages.push({ name: as ?? String(stages.length), from, instructions: [] })
    } else stages.at(-1)?.instructions.push({ name, args })
  }
  return stages
}

/** Returns the arguments of the last instruction of this name in the stage. */
export function argsOf({ instructions }: Stage, name: string): string | undefined {
  return instructions.findLast(one => one.name === name)?.args
}

/**
 * Does what the COPY and RUN lines say, in order, without an engine: the root of each stage is a folder `root/<name>`, in which RUN uses the
 * programs of this machine in place of the base image's.
 * @param context the folder that COPY reads
 * @returns the root folder of the last stage
 */
export async function buildInFolders(
  stages: readonly Stage[],
  context: string,
  root: string,
): Promise<string> {
  let last = ''
  for (const stage of stages) {
    last = join(root, stage.name)
    let workdir = last
    for (const { name, args } of stage.instructions) {
      if (name === 'WORKDIR') {
        workdir = join(last, args)
        await mkdir(workdir, { recursive: true })
      } else if (name === 'COPY') {
        const words = args.split(/\s+/)
        const from = words[0]?.startsWith('--from=') ? join(root, words.shift()?.slice(7) ?? '') : context
        const target = join(workdir, words.pop() ?? '')
        for (const source of words) await copy(join(from, source), target, words.length > 1)
      } else if (name === 'RUN') {
        await promisify(execFile)('/bin/sh', ['-c', args], {
          cwd: workdir,
          env: cleanEnvironment(),
          maxBuffer: 2 ** 26,
        })
      }
    }
  }
  return last
}

/** The content of a folder goes into the target, a file to the target or, if that is a folder, into it. */
async function copy(source: string, target: string, isOneOfSeveral: boolean): Promise<void> {
  if ((await stat(source)).isDirectory())
    return cp(source, target, { recursive: true, verbatimSymlinks: true })
  const isFolder = isOneOfSeveral || (existsSync(target) && (await stat(target)).isDirectory())
  await cp(source, isFolder ? join(target, basename(source)) : target)
}
