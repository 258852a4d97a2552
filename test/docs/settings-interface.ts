import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describeDefault } from '../../src/config/describe.js'
import { OPTION_LIST } from '../../src/config/names.js'

// Makes src/config/settings-interface.ts out of src/config/options.ts, so that editors show what an option means: `npm run docs`.

export const TARGET = join(resolve(import.meta.dirname, '../..'), 'src/config/settings-interface.ts')

const UNITS: Readonly<Record<string, string>> = { DURATION: ' In ms.', BYTES: ' In bytes.' }

/** The file as it is to be. */
export function settingsInterface(): string {
  const members = OPTION_LIST.map(option => {
    const unit = UNITS[option.type.placeholder] ?? ''
    const help = `${option.help}.${unit} Default: ${describeDefault(option)}`
    return `  /** ${help.replaceAll('*/', '*\\/')} */\n  readonly ${option.key}: OptionValues['${option.key}']`
  })
  return `import type { OptionValues } from './options.js'

// Made from options.ts by \`npm run docs\`. Do not edit it here.

/** The value of every option: durations in ms, sizes in bytes. */
export interface Settings {
${members.join('\n')}
}
`
}

if (import.meta.filename === process.argv[1]) writeFileSync(TARGET, settingsInterface())
