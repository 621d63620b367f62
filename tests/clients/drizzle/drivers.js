// One face over the two drivers: a Drizzle database, the driver's own raw queries, and a record of
// every statement that was sent.
import { drizzle as drizzleNodePostgres } from 'drizzle-orm/node-postgres';
import { drizzle as drizzlePostgresJs } from 'drizzle-orm/postgres-js';
import pg from 'pg';
import Cursor from 'pg-cursor';
import postgres from 'postgres';

import * as schema from './schema.js';

/** Rows of `db.execute()`: node-postgres gives a result object, postgres.js an array. */
export const rowsOf = (result) => (Array.isArray(result) ? [...result] : result.rows);

/** Rows that a statement changed. */
export const changed = (result) => result.rowCount ?? result.count;

/** Keeps the text of everything that a node-postgres client sends, cursors included. */
function record(client, sent) {
  const query = client.query.bind(client);
  client.query = (config, values, ...rest) => {
    const text = typeof config === 'string' ? config : (config.text ?? config.cursor?.text);
    sent.push({ sql: text, params: config.values ?? config.cursor?.values ?? (Array.isArray(values) ? values : []) });
    return query(config, values, ...rest);
  };
}

async function nodePostgres(url, tenant, max, sent) {
  const config = {
    connectionString: url,
    application_name: 'drizzle node-postgres',
    ...(tenant && { options: `-c app.organization_id=${tenant}` }),
  };
  if (max > 1) {
    const pool = new pg.Pool({ ...config, max });
    pool.on('connect', (client) => record(client, sent));
    return { client: pool, db: drizzleNodePostgres(pool, { schema }), raw: poolRaw(pool), end: () => pool.end() };
  }
  const client = new pg.Client(config);
  record(client, sent);
  await client.connect();
  return {
    client,
    db: drizzleNodePostgres(client, { schema }),
    raw: poolRaw(client),
    async *stream(text, params, size) {
      const cursor = client.query(new Cursor(text, params));
      try {
        for (let rows = await cursor.read(size); rows.length > 0; rows = await cursor.read(size)) yield rows;
      } finally {
        await cursor.close();
      }
    },
    end: () => client.end(),
  };
}

/** Raw rows; of a string with several statements, the rows of the last. */
function poolRaw(client) {
  return async (text, params) => {
    const result = await client.query(text, params);
    return Array.isArray(result) ? result.at(-1).rows : result.rows;
  };
}

async function postgresJs(url, tenant, max, sent) {
  const client = postgres(url, {
    max,
    onnotice: () => {},
    connection: { application_name: 'drizzle postgres.js', ...(tenant && { 'app.organization_id': tenant }) },
    debug: (_connection, sql, params) => sent.push({ sql, params }),
  });
  return {
    client,
    db: drizzlePostgresJs(client, { schema }),
    async raw(text, params) {
      const result = await client.unsafe(text, params);
      return [...(Array.isArray(result[0]) ? result.at(-1) : result)];
    },
    async *stream(text, params, size) {
      yield* client.unsafe(text, params).cursor(size);
    },
    end: () => client.end({ timeout: 5 }),
  };
}

const DRIVERS = { 'node-postgres': nodePostgres, 'postgres.js': postgresJs };

/**
 * Opens a database of `max` connections (one, if not told otherwise) whose startup packet names the
 * tenant, or none if `tenant` is null.
 */
export async function open({ driver, url, tenant, max = 1 }) {
  const sent = [];
  if (!Object.hasOwn(DRIVERS, driver)) throw new Error(`DRIVER must be one of ${Object.keys(DRIVERS).join(', ')}`);
  const opened = await DRIVERS[driver](url, tenant, max, sent);
  return { driver, sent, another: (options) => open({ driver, url, ...options }), ...opened };
}
