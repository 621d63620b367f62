// Logs in once for each line of standard input, a JSON object with port, tls and binding; says what
// the server knows of its connection, or what went wrong.
import { createInterface } from 'node:readline';
import pg from 'pg';

for await (const line of createInterface({ input: process.stdin })) {
  const { port, tls, binding } = JSON.parse(line);
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'app',
    password: process.env.PGPASSWORD,
    database: 'postgres',
    ssl: tls ? { rejectUnauthorized: false } : false,
    // Without TLS node-postgres would say that it could bind, and a server with TLS take that for a
    // downgrade.
    enableChannelBinding: tls && binding !== 'disable',
  });
  // A connection that is refused may be reset as well.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query('SELECT ssl FROM wire');
    console.log(rows[0].ssl ? 't' : 'f');
  } catch (error) {
    console.log(`error: ${error.message}`);
  }
  await client.end().catch(() => {});
}
