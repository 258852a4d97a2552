// In place of your application's own server: it signs users in, and writes.
import { json } from 'node:stream/consumers'
import { jwtVerify, SignJWT } from 'jose'

/** Signs tokens, for listenql and for this file. Yours is random, has at least 32 bytes, and is in no repository. */
export const SECRET = 'only for this example, and long enough for HS256'
const key = new TextEncoder().encode(SECRET)

export const createApi = db => async (request, response) => {
  try {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost')
    if (pathname === '/token') response.end(await createToken(searchParams.get('name')))
    else if (pathname === '/bids' && request.method === 'POST') response.end(await placeBid(db, request))
    else response.writeHead(404).end()
  } catch (error) {
    const isRefusal = error.code === 'P0001' // `raise exception` in schema.sql
    if (!isRefusal) console.error(error.message)
    response.writeHead(isRefusal ? 409 : 500).end(isRefusal ? error.message : 'The bid was not placed.')
  }
}

// Yours checks a password first.
const createToken = name =>
  new SignJWT({ role: 'bidder', sub: name })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime('10m')
    .sign(key)

/** Returns the id of the transaction, for which the page waits. */
async function placeBid(db, request) {
  const { id, lotId, amount } = await json(request)
  const [{ transaction }] = await queryAs(
    request,
    db,
    'insert into bids (id, lot_id, amount) values ($1, $2, $3) returning pg_current_xact_id()::text as transaction',
    [id, lotId, amount],
  )
  return transaction
}

/** Queries under the role and the claims of the token, so that row-level security applies. */
async function queryAs({ headers }, db, sql, values) {
  const { payload } = await jwtVerify(headers.authorization.replace('Bearer ', ''), key)
  const client = await db.connect()
  try {
    await client.query('begin')
    await client.query(`select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)`, [
      payload.role,
      JSON.stringify(payload),
    ])
    const { rows } = await client.query(sql, values)
    await client.query('commit')
    return rows
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}
