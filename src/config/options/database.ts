import { boolean, text } from '../value-type.js'
import { option, optional } from './option.js'

/** Options of the group Database. */
export const databaseOptions = {
  databaseUrl: optional({
    group: 'Database',
    type: text('URL'),
    otherwise: 'the PG* variables if any is set, else the embedded Postgres',
    example: 'postgres://user:password@localhost:5432/mydb',
    help: 'Database to serve: postgres://user:password@host:5432/database, or host=… dbname=…',
    usualVariable: 'DATABASE_URL',
    eventserv: 'DbConnection',
    secret: true,
  }),
  exitOnError: option({
    group: 'Database',
    type: boolean,
    default: false,
    help: 'Exit with an error if, at the start, the database cannot be reached or the role of --anonymous-role cannot be used; without this option, the server keeps trying',
  }),
  dataDir: optional({
    group: 'Database',
    type: text('DIRECTORY'),
    otherwise: '.listenql in the current directory',
    example: '.listenql',
    help: 'Data directory of the embedded Postgres; setting it selects the embedded Postgres even if PG* variables are set',
  }),
} as const
