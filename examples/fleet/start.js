import { existsSync } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
import { createServer } from 'listenql'
import pg from 'pg'
import * as vite from 'vite'

// What this example needs of listenql, beyond the defaults: see docs/configuration.md.
const options = {}

// From here on, this file is the same in all examples.
// The embedded Postgres has its data in .listenql. With DATABASE_URL, use `databaseUrl` and apply schema.sql yourself.
const listenql = await createServer({ dataDir: '.listenql', port: 0, logLevel: 'warn', ...options })
const db = new pg.Pool({ connectionString: listenql.embedded.adminUrl, max: 4 })
db.on('error', () => {}) // Postgres stops before this process does.

// Applied once. To apply a changed schema.sql, delete .listenql with all data.
if (!existsSync('.listenql/schema.sql')) {
  await db.query(await readFile('schema.sql', 'utf8'))
  await copyFile('schema.sql', '.listenql/schema.sql')
}

// In place of a real system that writes to the database.
const simulation = existsSync('simulate.sql') && (await readFile('simulate.sql', 'utf8'))
const simulate = () => db.query(simulation).catch(error => console.error('simulate.sql:', error.message))
const timer = simulation && setInterval(simulate, 500)

const app = await vite.createServer({
  plugins: [
    {
      name: 'api',
      // In place of your application's own server, which signs users in and writes.
      async configureServer({ middlewares }) {
        if (existsSync('api.js')) middlewares.use('/api', (await import('./api.js')).createApi(db))
      },
    },
  ],
  server: {
    port: Number(process.env.PORT ?? 5173),
    // Page, GraphQL and channels have one origin, as behind a reverse proxy.
    proxy: { '^/(graphql|listen)': { target: listenql.url, ws: true } },
  },
})
await app.listen()
app.printUrls()
if (!options.jwtSecret) console.log(`  GraphiQL: ${app.resolvedUrls.local[0]}graphql`)
console.log('  Ctrl-C stops everything.')

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    clearInterval(timer)
    await app.close()
    await listenql.close()
    process.exit()
  })
}
