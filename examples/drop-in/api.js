// In place of your application's own server: the page reads the rows here.
export const createApi = db => async (_request, response) => {
  try {
    const { rows } = await db.query('SELECT to_jsonb(people.*) AS person FROM people')
    response.end(JSON.stringify(rows.map(({ person }) => person)))
  } catch (error) {
    console.error(error.message)
    response.writeHead(500).end('The rows cannot be read.')
  }
}
