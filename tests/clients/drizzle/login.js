// Logs in once for each line of standard input, a JSON object with port, tls, binding, password and
// the statements of tests/support/tls_clients.rs; says what came of it in a line as described there.
import { createInterface } from 'node:readline';
import pg from 'pg';

const say = (...fields) =>
  console.log(fields.map((field) => String(field).replace(/\s+/g, ' ')).join('\t'));
const told = (error) => [error.code ?? '', `${error.message} ${error.detail ?? ''}`];

for await (const line of createInterface({ input: process.stdin })) {
  const { port, tls, binding, password, encrypted, admitted, refused } = JSON.parse(line);
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'app',
    password,
    database: 'postgres',
    ssl: tls ? { rejectUnauthorized: false } : false,
    enableChannelBinding: binding !== 'disable',
    connectionTimeoutMillis: 60_000,
    query_timeout: 60_000,
  });
  // A connection that is refused may be reset as well.
  client.on('error', () => {});
  try {
    await client.connect();
    const ssl = (await client.query(encrypted)).rows[0].ssl;
    const names = (await client.query(admitted)).rows.map((row) => row.name);
    const refusal = await client.query(refused).then(() => ['', 'no error'], told);
    say('in', ssl ? 't' : 'f', names.join(), ...refusal);
  } catch (error) {
    say('out', ...told(error));
  }
  await client.end().catch(() => {});
}
