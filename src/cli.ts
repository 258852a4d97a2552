#!/usr/bin/env node
import { runCommandLine } from './commands/index.js'
import { reportError } from './commands/shared/report-error.js'

const argv = process.argv.slice(2)
process.title = 'listenql' // other users of the machine can see the command line, which may hold a secret
try {
  process.exitCode = await runCommandLine(argv)
} catch (error) {
  const { text, exitCode } = reportError(error, argv.includes('--debug') || argv.includes('-d'))
  process.stderr.write(text)
  process.exitCode = exitCode
}
